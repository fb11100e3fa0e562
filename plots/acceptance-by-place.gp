# How far ahead can tokens be guessed?
#
# Each line: how often the first, second, ... token of a draft is what is drawn there, once those
# before it were, for one way to guess. A level line means that a longer draft is as good as a short
# one; the product up to a place is the share of drafts that are right so far.
#
#   gnuplot -e "data='acceptance-by-place.dat'; out='acceptance-by-place'" plots/acceptance-by-place.gp
#
# Columns: panel, series, place, acceptance

if (!exists("data")) data = 'acceptance-by-place.dat'
if (!exists("out")) out = 'acceptance-by-place'
load ARG0[1:strlen(ARG0) - strlen('acceptance-by-place.gp')].'style.gp'

panels = ''; series = ''; top = 0; last = 1
stats data using (panels = add(panels, strcol(1)), series = add(series, strcol(2)), \
                  top = max(top, $4), last = max(last, $3), $4) nooutput

columns = words(panels) > 1 ? 2 : 1
rows = (words(panels) + columns - 1) / columns
gap_y = 40
key_names = series
key_style(i) = i > words(series) ? 11 : series_line(i)
head = head_for(words(key_names)) + (columns > 1 ? 26 : 4)
ends = columns == 1 && direct(key_names, 12)
if (ends) { right = room_for(key_names); head = 16 }
height = head + foot + caption_height + (columns == 1 ? 300 : 210 * rows + gap_y * (rows - 1))
of(name, x) = strcol(1) eq word(panels, p) && strcol(2) eq name ? x : NaN

do for [format in formats] {
    eval open(format)
    if (!ends) { eval legend('lines') }
    do for [p = 1:words(panels)] {
        lowest = p > words(panels) - columns
        eval panel(p)
        set yrange [0:1.03]
        set xrange [0.8:last + 0.2]
        set xlabel (lowest ? 'place in the draft' : '')
        eval ylabel(across(p) == 0 ? 'share that is right' : '')
        set format x (lowest ? '%g' : '')
        set format y (across(p) == 0 ? '%g' : '')
        set title (columns == 1 ? '' : fit(word(panels, p), panel_w(0), 18))
        if (ends) {
            eval forget_ends
            stats data using (note_end(at(series, strcol(2)), $3, $4), 0) nooutput
            eval name_ends('key_names', 0, 1.03)
        }
        plot for [i = 1:words(series)] data using (of(word(series, i), $3)):4 \
                 with linespoints lt key_style(i)
        eval drop_ends
    }
    unset multiplot
}
