# How far ahead should prefetch look?
#
# Each line: median time of a pass against the prefetch distance in layers, for one cache size,
# with its interval; dotted in the same colour its floor. A line that stops falling says how much
# look-ahead is enough; one that rises says that layers fetched early displace layers that would
# have been hits.
#
#   gnuplot -e "data='pass-time-by-distance.dat'; out='pass-time-by-distance'" plots/pass-time-by-distance.gp
#
# Columns: panel, series, distance, pass_ms, low_ms, high_ms, floor_ms

if (!exists("data")) data = 'pass-time-by-distance.dat'
if (!exists("out")) out = 'pass-time-by-distance'
load ARG0[1:strlen(ARG0) - strlen('pass-time-by-distance.gp')].'style.gp'

panels = ''; series = ''; top = 0; first = 1e300; last = 0
stats data using (panels = add(panels, strcol(1)), series = add(series, strcol(2)), \
                  top = max(max(top, num(7)), $6), first = min(first, $3), last = max(last, $3), $4) nooutput

columns = words(panels)
distances = ''
stats data using (distances = add(distances, strcol(3)), $3) nooutput
key_names = series.'"floor"'
key_style(i) = i > words(series) ? 11 : series_line(i)
head = head_for(words(key_names)) + 26
height = head + foot + caption_height + 280
s = time_scale(top)
of(name, x) = strcol(1) eq word(panels, p) && strcol(2) eq name ? x : NaN

do for [format in formats] {
    eval open(format)
    eval legend('lines')
    do for [p = 1:columns] {
        eval panel(p)
        set yrange [0:top * s * 1.05]
        if (first > 0 && last / first >= 8) {
            set logscale x 2
            set xrange [first / 1.15:last * 1.15]
        } else {
            set xrange [first - 0.05 * (last - first):last + 0.05 * (last - first)]
        }
        set xtics ()
        do for [d in distances] { set xtics add (d d + 0) }
        set xlabel 'distance (layers)'
        eval ylabel(p == 1 ? 'decode pass'.in_unit(s) : '')
        set format y (p == 1 ? '%g' : '')
        set title fit(word(panels, p), panel_w(0), 18)
        plot for [i = 1:words(series)] data using (of(word(series, i), $3)):($7 * s) \
                 with lines lt key_style(i) lw 1.3 dt 3, \
             for [i = 1:words(series)] data using (of(word(series, i), $3)):($4 * s):($5 * s):($6 * s) \
                 with yerrorlines lt key_style(i)
        unset logscale x
    }
    unset multiplot
}
