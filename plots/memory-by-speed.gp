# What does more memory buy?
#
# Each point is one cell: its peak memory and its speed, with the interval. The line joins the
# cells that no other beats in both (the Pareto front): the best speed for each amount of memory.
# A point far below the line spends memory for nothing. Speeds that differ much are drawn on a
# logarithmic scale.
#
#   gnuplot -e "data='memory-by-speed.dat'; out='memory-by-speed'" plots/memory-by-speed.gp
#
# Columns: series, memory_MiB, tokens_per_s, low, high, best (1: none is faster with less)

if (!exists("data")) data = 'memory-by-speed.dat'
if (!exists("out")) out = 'memory-by-speed'
load ARG0[1:strlen(ARG0) - strlen('memory-by-speed.gp')].'style.gp'

series = ''; low = 1e300; high = 0; top = 0; slow = 1e300
stats data using (series = add(series, strcol(1)), low = min(low, $2), high = max(high, $2), \
                  top = max(top, $5), slow = min(slow, $4), $2) nooutput
r = top < 0.002 ? 3600 : top < 0.1 ? 60 : 1 # a second, a minute, an hour
top = top * r; slow = slow * r
s = high >= 10240 ? 1.0 / 1024 : 1

series = in_order(series)
key_names = series.'"Pareto front"'
wide = slow > 0 && top / slow > 8
key_style(i) = i > words(series) ? 11 : mode(word(series, i))
head = head_for(words(key_names)) + 4
right = 30 # half of a label below the last tic
height = head + foot + caption_height + 320
of(name, x) = strcol(1) eq name ? x : NaN

do for [format in formats] {
    eval open(format)
    eval legend('points')
    eval panel(1)
    set xrange [(low - 0.08 * (high - low + 1)) * s:(high + 0.08 * (high - low + 1)) * s]
    set yrange [wide ? slow / 1.3 : 0:top * (wide ? 1.3 : 1.08)]
    if (wide) { set logscale y; eval set_decades('y', slow / 1.3, top * 1.3) }
    set xlabel 'peak memory ('.(s < 1 ? 'GiB' : 'MiB').')'
    eval ylabel('tokens / '.(r == 1 ? 's' : r == 60 ? 'min' : 'h'))
    plot data using ($6 == 1 ? $2 * s : NaN):($3 * r) smooth unique with steps lt 11, \
         for [name in series] data using (of(name, $2 * s)):($3 * r):($4 * r):($5 * r) with yerrorbars lt mode(name) dt 1 lw 1.3
    unset logscale y
    unset multiplot
}
