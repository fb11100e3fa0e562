# Does the time of a pass follow from what it reads?
#
# Each point is one cell: the megabytes read in a pass, and its time. On the line, which is drawn
# where all cells have the same storage, it is busy all the time and nothing else counts; above it
# storage stood idle, or the computation took longer. Cells that read as much but lie higher hide
# their loads worse.
#
#   gnuplot -e "data='time-by-bytes.dat'; out='time-by-bytes'" plots/time-by-bytes.gp
#
# Columns: prefetch, read_MiB, pass_ms, low_pass_ms, high_pass_ms, read_ms

if (!exists("data")) data = 'time-by-bytes.dat'
if (!exists("out")) out = 'time-by-bytes'
load ARG0[1:strlen(ARG0) - strlen('time-by-bytes.gp')].'style.gp'

series = ''; most = 0; top = 0; slope = 0; slowest = 1e300
stats data using (series = add(series, strcol(1)), most = max(most, $2), top = max(top, $5), \
                  slope = $2 > 0 ? max(slope, $6 / $2) : slope, \
                  slowest = $2 > 0 ? min(slowest, $6 / $2) : slowest, $2) nooutput
one = slope > 0 && slope < 1.2 * slowest # the same storage for all cells
series = in_order(series)
s = time_scale(top)
b = most >= 10240 ? 1.0 / 1024 : 1
if (most <= 0) { most = 1 }
key_names = series.(one ? '"storage alone"' : '')
key_style(i) = i > words(series) ? 11 : mode(word(series, i))
head = head_for(words(key_names)) + 4
height = head + foot + caption_height + 330
of(name, x) = strcol(1) eq name ? x : NaN

do for [format in formats] {
    eval open(format)
    eval legend('points')
    eval panel(1)
    set xrange [-0.02 * most * b:1.05 * most * b]
    set yrange [0:top * s * 1.06]
    set xlabel 'read in a pass ('.(b < 1 ? 'GiB' : 'MiB').')'
    eval ylabel('decode pass'.in_unit(s))
    plot '+' using ($0 * most * b):($0 * most * slope * s) every ::0::1 with lines lt (one ? 11 : -2), \
         for [name in series] data using (of(name, $2 * b)):($3 * s):($4 * s):($5 * s) \
             with yerrorbars lt mode(name) dt 1 lw 1.3
    unset multiplot
}
