# How much of the possible overlap is reached?
#
# Each point is one cell: its computing time over the time in which storage was busy (across), and
# its pass time in units of that busy time (up). The lower line, max(1, c/t), is perfect overlap:
# nothing can lie below it. The upper line, 1 + c/t, is no overlap at all. Left of 1 storage is
# the limit, right of 1 computing. Fewer loads move a cell to the right; better overlap moves it
# down.
#
#   gnuplot -e "data='roofline.dat'; out='roofline'" plots/roofline.gp
#
# Columns: series, compute_by_load, pass_by_load, cell

if (!exists("data")) data = 'roofline.dat'
if (!exists("out")) out = 'roofline'
load ARG0[1:strlen(ARG0) - strlen('roofline.gp')].'style.gp'

series = ''; low = 1; high = 1; top = 2
stats data using (series = add(series, strcol(1)), low = min(low, $2), high = max(high, $2), \
                  top = max(top, $3), $2) nooutput
low = low / 2
high = high * 2
top = max(top, 1 + high) * 1.2

series = in_order(series)
key_names = series
key_style(i) = mode(word(series, i))
head = head_for(words(series)) + 4
height = head + foot + caption_height + 340
of(name, x) = strcol(1) eq name ? x : NaN
roof(x) = x > 1 ? x : 1

do for [format in formats] {
    eval open(format)
    eval legend('points')
    eval panel(1)
    set samples 400
    set xrange [low:high]
    set yrange [0.71:top]
    set logscale xy 2
    eval set_twos('x', low, high)
    eval set_twos('y', 0.71, top)
    set xlabel 'compute / storage busy (c/t)'
    eval ylabel('decode pass / storage busy')
    set label 1 'no overlap: 1 + c/t' at high * 0.7, 1 + high right font ',15' tc rgb '#404040'
    set label 2 'perfect overlap: max(1, c/t)' at low * 1.15, 0.83 left font ',15' tc rgb '#404040' \
        front
    plot '+' using 1:(roof($1)):(0.01) with filledcurves fc rgb '#ebebeb' fs solid 1 noborder, \
         roof(x) with lines lc rgb black lw 2 dt 1, 1 + x with lines lt 12, \
         for [name in series] data using (of(name, $2)):3 with points lt mode(name)
    unset label 1
    unset label 2
    unset logscale
    unset multiplot
}
