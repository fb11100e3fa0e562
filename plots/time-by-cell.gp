# Where does the time of a pass go, and how far is each cell from its floor?
#
# Each bar is one cell: computing, waiting for storage, and the rest. The whisker is the interval
# of the median pass time, the black mark the floor: no design can be faster. What lies beyond the
# mark is lost; if it is waiting, storage or late prefetch is the limit, if it is computing, the
# processor.
#
#   gnuplot -e "data='time-by-cell.dat'; out='time-by-cell'" plots/time-by-cell.gp
#
# Columns: cell, compute_ms, wait_ms, other_ms, floor_ms, low_ms, high_ms

if (!exists("data")) data = 'time-by-cell.dat'
if (!exists("out")) out = 'time-by-cell'
load ARG0[1:strlen(ARG0) - strlen('time-by-cell.gp')].'style.gp'

labels = ''; n = 0; top = 0
stats data using (labels = add(labels, strcol(1)), n = n + 1, \
                  top = max(max(top, num(5)), max($7, $2 + $3 + $4)), 0) nooutput

left = left_for(labels)
key_columns = 4
key_names = '"compute" "wait" "other" "floor"'
key_style(i) = 20 + i
key_x(i) = 24 + (width - 24.0 - right) / key_columns * ((i - 1) % key_columns)
head = head_for(words(key_names)) + 4
height = head + foot + caption_height + 26 * n + 8
s = time_scale(top)

do for [format in formats] {
    eval open(format)
    set linetype 21 lc rgb blue
    set linetype 22 lc rgb red
    set linetype 23 lc rgb '#bdbdbd'
    set linetype 24 lc rgb black
    eval legend('boxes')
    eval panel(1)
    unset grid
    set grid x
    set ytics scale 0 font ',15'
    set yrange [n + 0.5:0.5]
    set xrange [0:top > 0 ? top * s * 1.04 : 1]
    set xtics roomy(top * s, 3)
    set xlabel 'decode pass'.in_unit(s)
    bar = 0.38
    plot data using (0):($0 + 1):(0):($2 * s):($0 + 1 - bar):($0 + 1 + bar):ytic(1) \
             with boxxyerror lt 21 fs solid 1 noborder, \
         data using (0):($0 + 1):($2 * s):(($2 + $3) * s):($0 + 1 - bar):($0 + 1 + bar) \
             with boxxyerror lt 22 fs solid 1 noborder, \
         data using (0):($0 + 1):(($2 + $3) * s):(($2 + $3 + $4) * s):($0 + 1 - bar):($0 + 1 + bar) \
             with boxxyerror lt 23 fs solid 1 noborder, \
         data using (($2 + $3 + $4) * s):($0 + 1):($6 * s):($7 * s) with xerrorbars lt 24 lw 1.2 pt -1, \
         data using ($5 * s):($0 + 1 - 0.48):(0):(0.96) with vectors nohead lt 24 lw 2.5
    unset multiplot
}
