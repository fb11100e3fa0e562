# style: what all figures share: palette, fonts, sizes, layout, legend, caption, terminals. Every
# script loads it; the script beside a drawn figure has it inside.
#
# Drawn to be printed 8 cm wide: 640 units across, so that the smallest text is 5 points there.
# Colours are those of Okabe and Ito (told apart with any kind of colour vision); each line also
# has its own point and dash. May be set before: data, out (without ending), formats
# ("svg png pdf"), caption1..caption4.

if (!exists("formats")) formats = 'svg png'
if (!exists("caption1")) caption1 = ''
if (!exists("caption2")) caption2 = ''
if (!exists("caption3")) caption3 = ''
if (!exists("caption4")) caption4 = ''

set encoding utf8
set minussign
set datafile missing NaN
set datafile separator whitespace

black = '#000000'; orange = '#e69f00'; sky = '#56b4e9'; green = '#009e73'
yellow = '#f0e442'; blue = '#0072b2'; red = '#d55e00'; pink = '#cc79a7'; grey = '#767676'

# One linetype for each prefetch mode, bound, replacement or other series, the same in every figure.
linetypes(k) = \
    lt(1, black, 2, 2, 6, 1.0 * k).lt(2, red, 2, 4, 8, 1.2 * k).lt(3, blue, 2, 1, 7, 1.0 * k).\
    lt(4, green, 2, 5, 4, 1.0 * k).lt(5, pink, 2, 1, 12, 1.2 * k).lt(6, sky, 2, 1, 5, 0.9 * k).\
    lt(7, orange, 2, 3, 9, 1.2 * k).lt(8, '#a09000', 2, 6, 13, 1.2 * k).\
    lt(11, grey, 2.2, 3, 0, 0).lt(12, grey, 1.2, 2, 0, 0).lt(13, grey, 1.2, 4, 0, 0)
lt(i, colour, lw, dt, pt, ps) = \
    sprintf("set linetype %d lc rgb '%s' lw %g dt %d pt %d ps %g; ", i, colour, lw, dt, pt, ps)
mode(s) = s eq 'off' ? 1 : s eq 'sync' ? 2 : s eq 'async' ? 3 : s eq 'resident' ? 4 : 5
series_line(i) = int(word('3 2 5 1 6 7 4 8', 1 + (i - 1) % 8))
# Lines of many kinds (policies): Belady's black and thick, of the others each its own colour, and
# after eight its own dash.
many_colour(i) = word("'#d55e00' '#0072b2' '#009e73' '#cc79a7' '#56b4e9' '#e69f00' '#a09000' '#767676'", \
                      1 + (i - 1) % 8)
many_line(name, i) = name eq 'belady' ? 40 : 40 + i
many_lines(n) = sprintf("set linetype 40 lc rgb black lw 2.6 dt 1 pt 7 ps k * 0.6; do for [i = 1:%d] { \
    set linetype 40 + i lc rgb many_colour(i) lw 1.6 dt 1 + (i - 1) / 8 * 3 pt 4 + (i - 1) %% 10 ps k * 0.7 }", n)
# For cells ("async lru C=8"): as their mode; where several share it, the last does. Cells that do
# not name one ("lru C=8"): in turn.
cell_line(list, i) = cell_line_(list, i, word(word(list, i), 1))
cell_line_(list, i, m) = mode(m) > 4 ? series_line(i) : same_mode(list, i, m) ? 4 + same_mode(list, i, m) : mode(m)
same_mode(list, i, m) = \
    i >= words(list) ? 0 : (sum [j = i + 1:words(list)] (word(word(list, j), 1) eq m))

set palette defined (0 '#440154', 1 '#443983', 2 '#31688e', 3 '#21918c', 4 '#35b779', \
                     5 '#90d743', 6 '#fde725') # viridis


# Layout, in units of a canvas 640 wide and `height` high. A figure is a multiplot: caption at the
# foot, legend in a band of `head` at the top, panels in rows and columns between.
#
#   do for [format in formats] {
#       eval open(format)
#       eval legend('lines')
#       do for [p = 1:columns * rows] { eval panel(p); plot ... }
#       unset multiplot
#   }
width = 640
height = 480
head = 40    # legend
left = 90    # tics and label of the left axis
right = 18
gap_x = 20   # between columns
gap_y = 50   # between rows: title
foot = 68    # tics and label of the lower axis
columns = 1
rows = 1
p = 1          # the panel
more(line) = line eq '' ? '' : "\n".line
caption = caption1.more(caption2).more(caption3).more(caption4)
caption_lines = (caption1 ne '') + (caption2 ne '') + (caption3 ne '') + (caption4 ne '')
caption_height = 12 + 19 * caption_lines # an SVG takes 21 from line to line

terminal(format) = \
    format eq 'svg' ? sprintf("set terminal svg size %d,%d font 'DejaVu Sans,18' noenhanced \
                               dashlength 1.4 background '#ffffff'", width, height) : \
    format eq 'png' ? sprintf("set terminal pngcairo size %d,%d font 'DejaVu Sans,18' \
                               fontscale 1.5 linewidth 2 pointscale 2 noenhanced", \
                              2 * width, 2 * height) : \
                      sprintf("set terminal pdfcairo size 8cm,%.3fcm font 'DejaVu Sans,18' \
                               fontscale 0.354 linewidth 0.354 pointscale 0.354 noenhanced", \
                              8.0 * height / width)
# k: size of points, because terminals differ.
open(format) = sprintf("k = %g; ", format eq 'svg' ? 0.7 : 1.2).\
    linetypes(format eq 'svg' ? 0.7 : 1.2).terminal(format).\
    sprintf("; set output '%s.%s'; ", out, format).\
    sprintf("set label 99 caption at screen 0.0125, screen %f left font ',14' tc rgb '#404040'; ", \
            (caption_height - 10.0) / height).\
    "unset label 97; set multiplot"

# The legend: entries in a grid of key_columns (0: as many as names leave room for), placed by hand,
# because terminals disagree on the width of text. key_names: quoted words; key_style(i): linetype
# of the i-th; kind: lines, points, boxes.
key_names = ''
key_columns = 0
key_cols(_) = key_columns > 0 ? key_columns : _key_cols(4)
_key_cols(n) = n == 1 || 10.8 * longest(key_names) <= key_room(n) ? n : _key_cols(n - 1)
key_room(n) = (width - left / 2.0 - right) / n - 56
key_style(i) = series_line(i)
with_points(style) = style < 10 || style >= 40
key_w(_) = key_columns > 0 ? 1000 : key_room(key_cols(0)) # what is longer is cut
key_rows(n) = (n + key_cols(0) - 1) / key_cols(0)
key_x(i) = left / 2 + (width - left / 2.0 - right) / key_cols(0) * ((i - 1) % key_cols(0))
key_y(i) = 16 + 26 * ((i - 1) / key_cols(0))
head_for(n) = 10 + 26 * key_rows(n)
legend(kind) = sprintf("unset border; unset tics; unset grid; unset title; unset xlabel; \
    unset key; set samples 2; set lmargin at screen 0; set rmargin at screen 1; \
    set tmargin at screen 1; set bmargin at screen %f; set xrange [0:%d]; set yrange [%d:0]; ", \
                       1 - 1.0 * head / height, width, head).\
    "do for [i = 1:words(key_names)] { \
        set label i fit(word(key_names, i), key_w(0), 18) at key_x(i) + 52, key_y(i) left }; ".\
    "plot for [i = 1:words(key_names)] '+' using ".\
    (kind eq 'boxes' ? "(key_x(i) + 30):(key_y(i)):(14):(8) with boxxyerror fs solid 1 noborder" : \
        "(key_x(i) + 44 * $0):(".(kind eq 'lines' ? "1" : "!with_points(key_style(i))")." ? key_y(i) : -99) \
            with lines lt key_style(i), for [i = 1:words(key_names)] '+' using (key_x(i) + 22):(\
            with_points(key_style(i)) ? key_y(i) : -99) with points").\
    " lt key_style(i); do for [i = 1:words(key_names)] { unset label i }; unset label 99"
across(p) = (p - 1) % columns
down(p) = (p - 1) / columns
panel(p) = (p > 1 ? "unset label 99; " : "").\
    "set border 3 lw 1 lc rgb '#404040'; set grid; set tics; \
    set tics nomirror out scale 0.5; set xtics offset 0, 0.3; set format '%g'; set autoscale; \
    set xlabel '' offset 0, 0.9; set title '' offset 0, -0.8; ".\
    sprintf("set lmargin at screen %f; set rmargin at screen %f; ", x0(p) / width, \
            (x0(p) + panel_w(0)) / width).\
    sprintf("set tmargin at screen %f; set bmargin at screen %f", y1(p) / height, \
            (y1(p) - panel_h(0)) / height)
panel_w(_) = 1.0 * (width - left - right - gap_x * (columns - 1)) / columns
panel_h(_) = 1.0 * (height - head - foot - caption_height - gap_y * (rows - 1)) / rows
x0(p) = left + across(p) * (panel_w(0) + gap_x)
y1(p) = height - head - down(p) * (panel_h(0) + gap_y)

set grid lc rgb '#dddddd' lw 0.7 dt 1
set errorbars 0.6
set key noautotitle # SVG would show commands as titles

# Label of the left axis at the edge, wherever terminals believe that the tics end.
ylabel(text) = sprintf("set label 97 '%s' at screen %f, graph 0.5 center rotate by 90", text, \
                       15.0 / width)

# A step of 1, 2 or 5 for tics of an axis from 0 to `most` whose numbers have room for `digits`.
nice(x) = _nice(x, 10.0 ** floor(log10(x)))
_nice(x, e) = x > 5 * e ? 10 * e : x > 2 * e ? 5 * e : x > e ? 2 * e : e
roomy(most, digits) = nice(max(most, 1e-9) * (digits + 2) * 12 / panel_w(0))
# Times are ms in the tables; an axis shows them in the unit that fits its largest.
time_scale(ms) = ms >= 1e7 ? 1 / 3.6e6 : ms >= 10000 ? 1e-3 : ms > 0 && ms < 0.1 ? 1e3 : 1
time_unit(s) = s < 1e-6 ? 'h' : s < 1 ? 's' : s > 1 ? 'µs' : 'ms'
in_unit(s) = ' ('.time_unit(s).')'
# Tics of an axis of times in ms that spans decades, of powers of two, of seldom values.
set_time(axis, low, high, shown) = sprintf("set %stics (); do for [e = -6:6] { \
    do for [m in (%g / %g < 50 ? '1 2 5' : '1')] { \
        t = m * 10.0 ** e; if (t >= %g && t <= %g) { set %stics add (%d ? in_words(t) : '' t) } } }", \
    axis, high, low, low, high, axis, shown)
in_words(ms) = ms < 0.9995e-3 ? sprintf('%.3g ns', ms * 1e6) : ms < 0.9995 ? sprintf('%.3g µs', ms * 1e3) : \
    ms < 999.5 ? sprintf('%.3g ms', ms) : sprintf('%.3g s', ms / 1e3)
set_twos(axis, low, high) = sprintf("set %stics (); do for [e = -20:20] { t = 2.0 ** e; \
    if (t >= %g && t <= %g && (%g / %g < 300 || e %% 2 == 0)) { \
        set %stics add ((e < 0 ? sprintf('1/%%d', 2 ** -e) : sprintf('%%d', t)) t) } }", \
    axis, low, high, high, low, axis)
# Of an axis of numbers that spans decades; gnuplot's own run together on short ones (version 6).
set_decades(axis, low, high) = sprintf("set %stics (); do for [e = -12:12] { \
    do for [m in (%g < 4 ? '1 1.5 2 3 5 7' : %g < 50 ? '1 2 5' : '1')] { \
        t = m * 10.0 ** e; if (t >= %g && t <= %g && (%g < 1e7 || e %% 2 == 0)) { \
            set %stics add (sprintf('%%g', t) t) } } }", \
    axis, 1.0 * high / low, 1.0 * high / low, low, high, 1.0 * high / low, axis)

# Names at the ends of lines, on the right, instead of a legend above: where there is one column
# of panels, names are short, and so few that they fit one below the other. A short line leads from
# the end of each to its name. Before open(): if (direct(names, most)) { right = room_for(names) };
# in a panel, after its ranges and before its plot: the ends into end_x[], end_y[] (in units of the
# axes) by note_end() in stats, then eval name_ends('names', low, high of the axis); names have
# linetypes key_style(i). After it eval drop_ends. From a line that ends before others it leads in
# grey: no part of the line.
array end_x[40]; array end_y[40]; array end_at[40]
direct(names, most) = words(names) <= min(40, most) && longest(names) <= 14
room_for(names) = 34 + 10.3 * longest(names)
num(c) = strstrt(strcol(c), 'nan') ? NaN : strcol(c) + 0 # of a column: also where it is missing
forget_ends = "do for [i = 1:40] { end_x[i] = -1e300; end_y[i] = NaN }"
note_end(i, x, y) = (i > 0 && x == x && y == y && x >= end_x[i] ? (end_x[i] = x, end_y[i] = y) : 0)
step = 21.0 # from name to name, in the canvas's units
name_ends(names, low, high) = sprintf("bottom = y1(p) - panel_h(0); placed = 0; last_at = bottom - step * 0.6; \
    do for [i = 1:words(%s)] { end_at[i] = 0 }; \
    do for [j = 1:words(%s)] { next = 0; \
        do for [i = 1:words(%s)] { if (end_y[i] == end_y[i] && end_at[i] == 0 && (next == 0 || end_y[i] < end_y[next])) { next = i } }; \
        if (next > 0) { last_at = max(last_at + step, bottom + panel_h(0) * (end_y[next] - %g) / (%g - %g)); end_at[next] = last_at; placed = placed + 1 } }; \
    over = last_at - (bottom + panel_h(0) + 4); \
    if (over > 0) { ceiling = bottom + panel_h(0) + 4; \
        do for [j = 1:placed] { next = 0; \
            do for [i = 1:words(%s)] { if (end_at[i] > 0 && (next == 0 || end_at[i] > end_at[next])) { next = i } }; \
            if (next > 0) { ceiling = min(ceiling, end_at[next]); end_at[next] = -ceiling; ceiling = ceiling - step } } }; \
    furthest = -1e300; do for [i = 1:40] { furthest = max(end_x[i], furthest) }; \
    do for [i = 1:words(%s)] { if (end_y[i] == end_y[i]) { \
        set arrow 60 + i from first end_x[i], first end_y[i] to screen (width - right + 22.0) / width, screen abs(end_at[i]) / height nohead lt (end_x[i] < furthest ? 12 : key_style(i)) lw 1 dt 1; \
        set label 60 + i word(%s, i) at screen (width - right + 27.0) / width, screen abs(end_at[i]) / height left font ',16' } }", \
    names, names, names, low, high, low, names, names, names)
drop_ends = "do for [i = 61:100] { unset arrow i; unset label i }"

# Names in a column, quoted, each once, in order of appearance (for words(), word(), do for).
add(list, name) = strstrt(list, '"'.name.'"') ? list : list.'"'.name.'" '
at(list, name) = sum [i = 1:words(list)] (word(list, i) eq name ? i : 0)
longest(list) = _longest(list, words(list))
_longest(list, n) = n == 0 ? 0 : max(strlen(word(list, n)), _longest(list, n - 1))
# The left margin beside names of rows, in a font of 15.
left_for(names) = 32 + min(38, longest(names)) * 8.7
# A name cut to that many units in a font of that size.
fit(name, room, size) = strlen(name) * size * 0.6 <= room ? name : name[1:max(1, int(room / size / 0.6) - 1)].'…'
max(a, b) = a > b || b != b ? a : b
min(a, b) = a < b || b != b ? a : b
in_order(list) = _mode(list, 'off')._mode(list, 'sync')._mode(list, 'async')._mode(list, 'resident').others_(list, 1)
# other programs than layerbench, after them
others_(list, i) = i > words(list) ? '' : (mode(word(list, i)) > 4 ? '"'.word(list, i).'" ' : '').others_(list, i + 1)
_mode(list, m) = at(list, m) ? '"'.m.'" ' : ''
