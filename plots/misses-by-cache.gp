# How many of the needed experts were not in the cache, by its size?
#
# Each line is a replacement policy as it ran: above of the experts that routers chose, below of
# their bytes. Of replayed routes belady knows the future, and no policy misses less; in a run it
# knows no more than routers have revealed. Left of the grey line the cache is smaller than what one
# token needs: an expert leaves before its layer comes again.
#
#   gnuplot -e "data='misses-by-cache.dat'; out='misses-by-cache'" plots/misses-by-cache.gp
#
# Columns: series, cache, share of the experts that missed, of their bytes

if (!exists("data")) data = 'misses-by-cache.dat'
if (!exists("out")) out = 'misses-by-cache'
if (!exists("unit")) unit = 'layers'
if (!exists("demand")) demand = 0
load ARG0[1:strlen(ARG0) - strlen('misses-by-cache.gp')].'style.gp'

series = ''; last = 0; differ = 0
stats data using (series = add(series, strcol(1)), last = max(last, $2), \
                  differ = max(differ, abs($3 - $4)), $2) nooutput
rows = differ > 0.005 ? 2 : 1
key_names = series.(demand > 0 ? '"demand of one token"' : '')
key_style(i) = i > words(series) ? 11 : many_line(word(series, i), i)
head = head_for(words(key_names)) + 4
ends = direct(key_names, 14)
if (ends) { right = room_for(key_names); head = 16 }
height = head + foot + caption_height + (rows == 1 ? 330 : 430)
of(name, x) = strcol(1) eq name ? x : NaN

do for [format in formats] {
    eval open(format)
    eval many_lines(words(series))
    if (!ends) { eval legend('lines') }
    do for [p = 1:rows] {
        eval panel(p)
        set xrange [0:last * 1.04]
        set yrange [0:1.04]
        set format x (p == rows ? '%g' : '')
        set xlabel (p == rows ? 'cache ('.unit.')' : '')
        if (demand > 0) { set arrow 1 from demand, graph 0 to demand, graph 1 nohead lt 11 }
        if (p == 1 && ends) {
            eval forget_ends
            stats data using (note_end(at(series, strcol(1)), $2, $3), 0) nooutput
            if (demand > 0) { end_x[words(key_names)] = demand; end_y[words(key_names)] = 1.04 }
            eval name_ends('key_names', 0, 1.04)
        }
        eval ylabel(p == 1 ? 'experts that miss' : 'of their bytes')
        plot for [i = 1:words(series)] data using (of(word(series, i), $2)):(column(2 + p)) \
                 with linespoints lt key_style(i)
        unset arrow 1
        eval drop_ends
    }
    unset multiplot
}
