# What changed between two results?
#
# Each row is one metric of one cell: the ratio of the second to the first with its 99% interval.
# An interval that excludes 1 is a difference; the band is the 2% below which no difference
# counts. A wide interval says that there were too few samples to tell.
#
#   gnuplot -e "data='comparison.dat'; out='comparison'" plots/comparison.gp
#
# Columns: metric, ratio, low, high, verdict (different, same, unknown)

if (!exists("data")) data = 'comparison.dat'
if (!exists("out")) out = 'comparison'
if (!exists("below")) { below = 'second is less'; above = 'second is more' }
load ARG0[1:strlen(ARG0) - strlen('comparison.gp')].'style.gp'

labels = ''; n = 0; low = 0.97; high = 1.03
stats data using (labels = add(labels, strcol(1)), n = n + 1, low = min(low, $3), \
                  high = max(high, $4), 0) nooutput

left = 24 + min(36, longest(labels)) * 8.6
key_names = '"different" "same" "unknown"'
key_style(i) = i == 1 ? 2 : i == 2 ? 3 : 1
head = head_for(3) + 30 # and which side is better
height = head + foot + caption_height + 28 * n + 8
of(verdict, x) = strcol(5) eq verdict ? x : NaN

do for [format in formats] {
    eval open(format)
    eval legend('points')
    eval panel(1)
    unset grid
    set grid x
    set ytics scale 0 font ',15'
    set yrange [n + 0.5:0.5]
    if (high / low > 2) {
        set xrange [low / 1.05:high * 1.05]
        set logscale x 2
    } else {
        set xrange [low - 0.01:high + 0.01]
        step = high - low < 0.1 ? 0.02 : high - low < 0.25 ? 0.05 : 0.1
        set xtics step
    }
    set xlabel 'ratio to the first'
    set object 1 rectangle from 0.98, graph 0 to 1.02, graph 1 behind \
        fc rgb '#ebebeb' fs solid 1 noborder
    set label 1 '← '.below at graph 0, screen 1 - (head - 14.0) / height left font ',15'
    set label 2 above.' →' at graph 1, screen 1 - (head - 14.0) / height right font ',15'
    set arrow 1 from 1, graph 0 to 1, graph 1 nohead lc rgb black lw 1
    plot data using 2:($0 + 1):(NaN):(NaN):ytic(1) with xerrorbars lt 1 pt -1, \
         for [i = 1:3] data using (of(word(key_names, i), $2)):($0 + 1):3:4 \
             with xerrorbars lt key_style(i) dt 1 lw 1.5
    unset object 1
    unset arrow 1
    unset label 1
    unset label 2
    unset logscale x
    unset multiplot
}
