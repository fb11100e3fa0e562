# How did the layers come to be there when they were needed?
#
# Each bar is one cell: the accesses of a pass that found their layer resident since an earlier
# pass (hit), brought by prefetch in time (prefetched), still on its way (late), or not asked for
# yet (miss). Late and missed layers are waited for; no misses alone is no success.
#
#   gnuplot -e "data='outcomes.dat'; out='outcomes'" plots/outcomes.gp
#
# Columns: cell, hit, prefetched, late, miss

if (!exists("data")) data = 'outcomes.dat'
if (!exists("out")) out = 'outcomes'
load ARG0[1:strlen(ARG0) - strlen('outcomes.gp')].'style.gp'

labels = ''; n = 0; top = 0
stats data using (labels = add(labels, strcol(1)), n = n + 1, \
                  top = max(top, $2 + $3 + $4 + $5), 0) nooutput

left = left_for(labels)
key_columns = 4
key_names = '"hit" "prefetched" "late" "miss"'
key_style(i) = 20 + i
key_x(i) = 24 + (width - 24.0 - right) / key_columns * ((i - 1) % key_columns)
head = head_for(words(key_names)) + 4
height = head + foot + caption_height + 26 * n + 8

do for [format in formats] {
    eval open(format)
    set linetype 21 lc rgb green
    set linetype 22 lc rgb sky
    set linetype 23 lc rgb orange
    set linetype 24 lc rgb red
    eval legend('boxes')
    eval panel(1)
    unset grid
    set grid x
    set ytics scale 0 font ',15'
    set yrange [n + 0.5:0.5]
    set xrange [0:top > 0 ? top : 1]
    set xtics roomy(top, 3)
    set xlabel 'layers in a pass'
    before(k) = k == 2 ? 0 : column(k - 1) + before(k - 1)
    bar = 0.38
    plot for [k = 2:5] data using (0):($0 + 1):(before(k)):(before(k) + column(k)):\
             ($0 + 1 - bar):($0 + 1 + bar):ytic(1) with boxxyerror lt 19 + k fs solid 1 \
             border lc rgb '#ffffff'
    unset multiplot
}
