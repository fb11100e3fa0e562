# What does one more option change?
#
# One panel for each option that varies and has no figure of its own: its values in order, and the
# median with its interval, of the best of the other options at each of them. Dotted in the same
# colour the floor. A level line means that the option does not matter here.
#
#   gnuplot -e "data='by-option.dat'; out='by-option'" plots/by-option.gp
#
# Columns: panel, axis, series, place, value, median, low, high, floor, whether values are numbers

if (!exists("data")) data = 'by-option.dat'
if (!exists("out")) out = 'by-option'
load ARG0[1:strlen(ARG0) - strlen('by-option.gp')].'style.gp'

panels = ''; axes = ''; series = ''; floors = 0
stats data using (panels = add(panels, strcol(1)), series = add(series, strcol(3)), \
                  axes = axes.'"'.strcol(2).'" ', floors = floors + valid(9), $6) nooutput

array ticks[64]
rows = words(panels)
lone = words(series) == 1 && word(series, 1) eq 'all'
key_names = (lone ? '' : series).(floors > 0 ? '"floor"' : '')
key_style(i) = i > words(series) || lone ? 11 : style(word(series, i))
style(name) = mode(name) < 5 ? mode(name) : series_line(at(series, name))
head = head_for(words(key_names)) + 8
ends = rows == 1 && !lone && direct(key_names, 12)
if (ends) { right = room_for(key_names); head = 16 }
gap_y = foot + 8
height = head + foot + caption_height + (rows == 1 ? 290 : 190 * rows + gap_y * (rows - 1))
here(x) = strcol(1) eq word(panels, p) ? x : NaN
of(name, x) = strcol(3) eq name ? here(x) : NaN

do for [format in formats] {
    eval open(format)
    if (!ends) { eval legend('lines') }
    do for [p = 1:rows] {
        eval panel(p)
        places = 0; top = 0; axis = ''; numbers = 0
        stats data using (strcol(1) eq word(panels, p) ? \
                          (ticks[int($4)] = strcol(5), places = max(places, $4), top = max(max(top, num(9)), $8), \
                           axis = strcol(2), numbers = $10) : 0, 0) nooutput
        s = axis[strlen(axis) - 3:] eq '(ms)' ? time_scale(top) : 1
        if (s != 1) { axis = axis[:strlen(axis) - 5].in_unit(s) }
        if (top <= 0) { top = 1 }
        set xrange [0.6:places + 0.4]
        set yrange [0:top * s * 1.06]
        set xtics ()
        widest = ''; do for [i = 1:places] { widest = widest.'"'.ticks[i].'" ' }
        room = panel_w(0) / places - 4; size = longest(widest) * 10.8 > room ? 14 : 18
        eval sprintf("set xtics font ',%d'", size)
        do for [i = 1:places] { set xtics add (fit(ticks[i], room, size) i) }
        set xlabel word(panels, p)
        eval ylabel(axis)
        if (ends) {
            eval forget_ends
            stats data using (note_end(at(series, strcol(3)), $4, $6 * s) + \
                (floors ? note_end(words(series) + 1, $4, num(9) * s) : 0), 0) nooutput
            eval name_ends('key_names', 0, top * s * 1.06)
        }
        if (numbers) {
            plot for [name in series] data using (of(name, $4)):($9 * s) \
                     with lines lt style(name) lw 1.3 dt 3, \
                 for [name in series] data using (of(name, $4)):($6 * s):($7 * s):($8 * s) \
                     with yerrorlines lt style(name)
        } else { # no line between names
            plot for [name in series] data using (of(name, $4 - 0.25)):($9 * s):(0.5):(0) \
                     with vectors nohead lt style(name) lw 1.3 dt 3, \
                 for [name in series] data using (of(name, $4)):($6 * s):($7 * s):($8 * s) \
                     with yerrorbars lt style(name) dt 1
        }
        eval drop_ends
    }
    unset multiplot
}
