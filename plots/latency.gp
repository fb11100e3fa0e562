# How long does one access wait, and how long are the worst?
#
# Above: the share of accesses that wait at most so long; a line that begins high has many
# accesses that do not wait at all. Below: the share that waits longer, both scales logarithmic,
# so that the tail shows. A vertical tail is bounded; a long flat one is storage that stalls now
# and then.
#
#   gnuplot -e "data='latency.dat'; out='latency'" plots/latency.gp
#
# Columns: series, wait_ms (0.001: at most), at_most (share), more (share)

if (!exists("data")) data = 'latency.dat'
if (!exists("out")) out = 'latency'
load ARG0[1:strlen(ARG0) - strlen('latency.gp')].'style.gp'

series = ''; high = 0; low = 1e300; few = 1
stats data using (series = add(series, strcol(1)), high = max(high, $2), \
                  low = $2 > 0.001 ? min(low, $2) : low, \
                  few = $4 > 0 ? min(few, $4) : few, $2) nooutput

if (low == 1e300) low = 0.002 # nothing waited
rows = 2
gap_y = 30
key_names = series
key_style(i) = cell_line(series, i)
head = head_for(words(series)) + 4
height = head + foot + caption_height + 440
share(p) = p == 1 ? $3 : $4 > 0 ? $4 : NaN
of(name, x) = strcol(1) eq name ? max(x, low / 2) : NaN

do for [format in formats] {
    eval open(format)
    eval legend('lines')
    do for [p = 1:2] {
        eval panel(p)
        set xrange [low / 2:max(2 * low, high * 1.3)]
        set logscale x
        eval set_time('x', low / 2, max(2 * low, high * 1.3), p == 2)
        set xlabel (p == 2 ? 'wait of one access' : '')
        if (p == 1) {
            set yrange [0:1.02]
            eval ylabel('share at most')
        } else {
            set yrange [few / 1.5:1]
            set logscale y
            eval set_decades('y', few / 1.5, 1)
            eval ylabel('share longer')
        }
        plot for [i = 1:words(series)] data using (of(word(series, i), $2)):(share(p)) \
                 with steps lt key_style(i), \
             for [i = 1:words(series)] data using (of(word(series, i), $2)):(share(p)) \
                 every 12 with points lt key_style(i)
        unset logscale
    }
    unset multiplot
}
