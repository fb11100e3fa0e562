# Is what hits more also faster?
#
# Each point is one cell: the share of the experts' bytes that had to be read though a pass needed
# them, and the time of a pass with its interval. If fewer misses always meant less time, the
# points would lie on one rising line; where they do not, the hit rate alone misleads.
#
#   gnuplot -e "data='hits-by-time.dat'; out='hits-by-time'" plots/hits-by-time.gp
#
# Columns: series, miss ratio of bytes, pass_ms, low_ms, high_ms

if (!exists("data")) data = 'hits-by-time.dat'
if (!exists("out")) out = 'hits-by-time'
load ARG0[1:strlen(ARG0) - strlen('hits-by-time.gp')].'style.gp'

series = ''; top = 0; most = 0
stats data using (series = add(series, strcol(1)), top = max(top, $5), most = max(most, $2), $2) nooutput
key_names = series
key_style(i) = 40 + i
head = head_for(words(series)) + 4
height = head + foot + caption_height + 350
of(name, x) = strcol(1) eq name ? x : NaN
colour(i) = word("'#d55e00' '#0072b2' '#009e73' '#cc79a7' '#000000' '#56b4e9' '#e69f00' '#a09000'", \
                 1 + (i - 1) % 8)

do for [format in formats] {
    eval open(format)
    do for [i = 1:words(series)] { set linetype 40 + i lc rgb colour(i) lw 1.4 pt 3 + i + (i - 1) / 8 ps k }
    eval legend('points')
    eval panel(1)
    set xrange [0:min(1, most * 1.08) + 0.01]
    set yrange [0:top * 1.08]
    set xlabel 'share of the needed bytes of experts that was not there'
    eval ylabel('decode pass (ms)')
    plot for [i = 1:words(series)] data using (of(word(series, i), $2)):3:4:5 with yerrorbars lt 40 + i
    unset multiplot
}
