# Does the simulator predict the measurement?
#
# Each point is one cell: the pass time that the planner predicts under a virtual clock, and the
# one that was measured, with its interval. On the line they agree; the band is 10% to either
# side. Points above it are slower than predicted: something that the model of the machine does
# not know.
#
#   gnuplot -e "data='prediction.dat'; out='prediction'" plots/prediction.gp
#
# Columns: series, predicted_ms, measured_ms, low_ms, high_ms

if (!exists("data")) data = 'prediction.dat'
if (!exists("out")) out = 'prediction'
load ARG0[1:strlen(ARG0) - strlen('prediction.gp')].'style.gp'

series = ''; low = 1e300; high = 0
stats data using (series = add(series, strcol(1)), low = min(low, min($2, $4)), \
                  high = max(high, max($2, $5)), $2) nooutput
s = time_scale(high)

series = in_order(series)
key_names = series
key_style(i) = mode(word(series, i))
head = head_for(words(series)) + 4
height = head + foot + caption_height + 380
of(name, x) = strcol(1) eq name ? x : NaN

do for [format in formats] {
    eval open(format)
    eval legend('points')
    eval panel(1)
    set xrange [0:high * s * 1.06]
    set yrange [0:high * s * 1.06]
    set samples 200
    set xlabel 'predicted decode pass'.in_unit(s)
    eval ylabel('measured'.in_unit(s))
    plot '+' using 1:(0.9 * $1):(1.1 * $1) with filledcurves fc rgb '#ebebeb' fs solid 1 noborder, \
         x with lines lc rgb black lw 1.5 dt 1, \
         for [name in series] data using (of(name, $2 * s)):($3 * s):($4 * s):($5 * s) \
             with yerrorbars lt mode(name) dt 1 lw 1.3
    unset multiplot
}
