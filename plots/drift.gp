# Did the machine stay the same during the run?
#
# Each point is one sample: its time over the median of its cell, against the moment it was taken.
# The line is the running median. Flat at 1: the machine was steady; a slope or a step is drift,
# which the shuffled order spreads over all cells alike; a cloud that widens says that something
# else ran.
#
#   gnuplot -e "data='drift.dat'; out='drift'" plots/drift.gp
#
# Columns: series, start_s, ratio, running_median

if (!exists("data")) data = 'drift.dat'
if (!exists("out")) out = 'drift'
load ARG0[1:strlen(ARG0) - strlen('drift.gp')].'style.gp'

series = ''; low = 0.95; high = 1.05; last = 0; n = 0
stats data using (series = add(series, strcol(1)), low = min(low, $3), high = max(high, $3), \
                  last = max(last, $2), n = n + 1, $2) nooutput

series = in_order(series)
key_names = series
key_style(i) = mode(word(series, i))
head = head_for(words(series)) + 4
height = head + foot + caption_height + 280
last = max(last, 1e-3)
s = last > 600 ? 1.0 / 60 : 1
of(name, x) = strcol(1) eq name ? x : NaN

do for [format in formats] {
    eval open(format)
    eval legend('points')
    eval panel(1)
    set xrange [-0.02 * last * s:1.02 * last * s]
    set yrange [low - 0.05 * (high - low):high + 0.05 * (high - low)]
    set xlabel 'time in the run ('.(s < 1 ? 'min' : 's').')'
    eval ylabel('decode pass / median')
    plot 1 with lines lt 12, \
         for [name in series] data using (of(name, $2 * s)):3 \
             with points lt mode(name) ps (n > 300 ? 0.5 : 0.9) * k, \
         data using ($2 * s):4 with lines lc rgb black lw 2 dt 1
    unset multiplot
}
