# Which layers are waited for?
#
# Mean wait of each layer over all passes, with its 95% interval; where other layers are waited for
# in each pass, one pass of median length. Even waits say that storage is the limit throughout; a
# wait at the first layers alone says that prefetch does not wrap around to the next pass; waits
# between pinned layers show how evenly the loads are spread.
#
#   gnuplot -e "data='wait-by-layer.dat'; out='wait-by-layer'" plots/wait-by-layer.gp
#
# Columns: series, layer, wait_ms, low_ms, high_ms

if (!exists("data")) data = 'wait-by-layer.dat'
if (!exists("out")) out = 'wait-by-layer'
load ARG0[1:strlen(ARG0) - strlen('wait-by-layer.gp')].'style.gp'

series = ''; top = 0; last = 0
stats data using (series = add(series, strcol(1)), top = max(top, max($3, num(5))), \
                  last = max(last, $2), $2) nooutput

key_names = series
key_style(i) = cell_line(series, i)
beside(i) = 0.14 * (i - (words(series) + 1) / 2.0) # so that intervals do not cover each other
head = head_for(words(series)) + 4
height = head + foot + caption_height + 300
s = time_scale(top)
top = top * s
of(name, x) = strcol(1) eq name ? x : NaN

do for [format in formats] {
    eval open(format)
    eval legend('lines')
    eval panel(1)
    set yrange [0:top > 0 ? top * 1.05 : 1]
    set xrange [-0.5:last + 0.5]
    set xlabel 'layer'
    eval ylabel('wait'.in_unit(s))
    plot for [i = 1:words(series)] data using (of(word(series, i), $2 + beside(i))):($3 * s):($4 * s):($5 * s) \
             with yerrorbars lt key_style(i) dt 1 lw 1 pt 0, \
         for [i = 1:words(series)] data using (of(word(series, i), $2 + beside(i))):($3 * s) \
             with linespoints lt key_style(i) lw 1.3 ps 0.8 * k
    unset multiplot
}
