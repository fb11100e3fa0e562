# How many tokens should be guessed at a time?
#
# Each line: median time of a token against the tokens guessed for a pass, for one way to guess, with
# its interval; 0 is without guessing. Dotted in the same colour the floor: that of a pass over the
# tokens it gives. Where loading takes the time, a line falls as long as guesses are right; it rises
# where checking more of them has become dearer than what they bring.
#
#   gnuplot -e "data='token-time-by-draft-length.dat'; out='token-time-by-draft-length'" plots/token-time-by-draft-length.gp
#
# Columns: panel, series, draft_tokens, token_ms, low_ms, high_ms, floor_ms

if (!exists("data")) data = 'token-time-by-draft-length.dat'
if (!exists("out")) out = 'token-time-by-draft-length'
load ARG0[1:strlen(ARG0) - strlen('token-time-by-draft-length.gp')].'style.gp'

panels = ''; series = ''; top = 0; last = 1
stats data using (panels = add(panels, strcol(1)), series = add(series, strcol(2)), \
                  top = max(max(top, num(7)), $6), last = max(last, $3), $4) nooutput

columns = words(panels) > 1 ? 2 : 1
rows = (words(panels) + columns - 1) / columns
gap_y = 40
key_names = series.'"floor"'
key_style(i) = i > words(series) ? 11 : series_line(i)
head = head_for(words(key_names)) + (columns > 1 ? 26 : 4)
ends = columns == 1 && direct(key_names, 12)
if (ends) { right = room_for(key_names); head = 16 }
height = head + foot + caption_height + (columns == 1 ? 300 : 210 * rows + gap_y * (rows - 1))
s = time_scale(top)
of(name, x) = strcol(1) eq word(panels, p) && strcol(2) eq name ? x : NaN

do for [format in formats] {
    eval open(format)
    if (!ends) { eval legend('lines') }
    do for [p = 1:words(panels)] {
        lowest = p > words(panels) - columns
        eval panel(p)
        set yrange [0:top * s * 1.05]
        set xrange [-0.03 * last:1.03 * last]
        set xlabel (lowest ? 'tokens guessed for a pass' : '')
        eval ylabel(across(p) == 0 ? time_unit(s).' a token' : '')
        set format x (lowest ? '%g' : '')
        set format y (across(p) == 0 ? '%g' : '')
        set title (columns == 1 ? '' : fit(word(panels, p), panel_w(0), 18))
        if (ends) {
            eval forget_ends
            stats data using (note_end(at(series, strcol(2)), $3, $4 * s), 0) nooutput
            eval name_ends('key_names', 0, top * s * 1.05)
        }
        plot for [i = 1:words(series)] data using (of(word(series, i), $3)):($7 * s) \
                 with lines lt key_style(i) lw 1.3 dt 3, \
             for [i = 1:words(series)] data using (of(word(series, i), $3)):($4 * s):($5 * s):($6 * s) \
                 with yerrorlines lt key_style(i)
        eval drop_ends
    }
    unset multiplot
}
