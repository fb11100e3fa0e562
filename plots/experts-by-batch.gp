# What does a larger batch cost in experts, and gain in speed?
#
# Above: the weights that a pass needs, which grow with the union of the experts that its tokens
# choose. Below: the speed of all sequences together, with its interval.
#
#   gnuplot -e "data='experts-by-batch.dat'; out='experts-by-batch'" plots/experts-by-batch.gp
#
# Columns: series, sequences, MiB needed a pass, tokens/s, low, high

if (!exists("data")) data = 'experts-by-batch.dat'
if (!exists("out")) out = 'experts-by-batch'
load ARG0[1:strlen(ARG0) - strlen('experts-by-batch.gp')].'style.gp'

series = ''; most = 1; top = 0; fast = 0
stats data using (series = add(series, strcol(1)), most = max(most, $2), top = max(top, $3), \
                  fast = max(fast, $6), $2) nooutput
key_names = series
key_style(i) = series_line(i)
head = head_for(words(series)) + 4
rows = 2
ends = direct(key_names, 8)
if (ends) { right = room_for(key_names); head = 16 }
height = head + foot + caption_height + 2 * 230
of(name, x) = strcol(1) eq name ? x : NaN

do for [format in formats] {
    eval open(format)
    if (!ends) { eval legend('lines') }
    do for [p = 1:2] {
        eval panel(p)
        set logscale x 2
        set xrange [0.9:most * 1.1]
        set yrange [0:(p == 1 ? top : fast) * 1.08]
        set xlabel p == 2 ? 'sequences of a pass' : ''
        eval ylabel(p == 1 ? 'needed a pass (MiB)' : 'tokens / s')
        if (ends) {
            eval forget_ends
            stats data using (note_end(at(series, strcol(1)), $2, column(2 + p)), 0) nooutput
            eval name_ends('key_names', 0, (p == 1 ? top : fast) * 1.08)
        }
        if (p == 1) {
            plot for [i = 1:words(series)] data using (of(word(series, i), $2)):3 \
                     with linespoints lt series_line(i) lw 2
        } else {
            plot for [i = 1:words(series)] data using (of(word(series, i), $2)):4 with lines lt series_line(i), \
                 for [i = 1:words(series)] data using (of(word(series, i), $2)):4:5:6 with yerrorbars lt series_line(i)
        }
        eval drop_ends
        unset logscale x
    }
    unset multiplot
}
