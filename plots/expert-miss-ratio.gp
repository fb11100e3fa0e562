# How many experts are not there when they are needed, by the size of the cache?
#
# Each line is a replacement policy over a recorded trace of experts, one access at a time, from an
# empty cache. No policy can be below Belady's, which knows the future. Below the demand of one
# token (the grey line) recency has nothing to go by: every expert leaves before its layer comes
# again.
#
#   gnuplot -e "data='expert-miss-ratio.dat'; out='expert-miss-ratio'" plots/expert-miss-ratio.gp
#
# Columns: policy, slots, share of all experts, miss ratio of accesses, of bytes

if (!exists("data")) data = 'expert-miss-ratio.dat'
if (!exists("out")) out = 'expert-miss-ratio'
if (!exists("demand")) demand = 0
if (!exists("sizes")) sizes = 0 # objects differ in size: bytes have a panel of their own
load ARG0[1:strlen(ARG0) - strlen('expert-miss-ratio.gp')].'style.gp'

series = ''; most = 0
stats data using (series = add(series, strcol(1)), most = max(most, $2), $2) nooutput
lower(name) = name eq 'belady'
# Belady in black and thick; of the others each has its own colour, and after eight its own dash
colour(i) = word("'#d55e00' '#0072b2' '#009e73' '#cc79a7' '#56b4e9' '#e69f00' '#a09000' '#767676'", \
                 1 + (i - 1) % 8)
names = ''
do for [name in series] { if (!lower(name)) { names = names.'"'.name.'" ' } }
key_names = '"belady" '.names.'"demand of one token"'
key_columns = 3
key_style(i) = i == words(key_names) ? 11 : 40 + i
head = head_for(words(key_names)) + 4
rows = 1 + sizes
height = head + foot + caption_height + 330 * rows
of(name, x) = strcol(1) eq name ? x : NaN

do for [format in formats] {
    eval open(format)
    set linetype 41 lc rgb black lw 2.6 dt 1 pt 7 ps 0
    do for [i = 1:words(names)] { set linetype 41 + i lc rgb colour(i) lw 1.6 dt 1 + (i - 1) / 8 * 3 pt i ps k * 0.7 }
    eval legend('lines')
    do for [p = 1:rows] {
        eval panel(p)
        set xrange [0:most * 1.02]
        set yrange [0:1.04]
        set xlabel p == rows ? 'experts that the cache holds' : ''
        if (demand > 0) { set arrow 1 from demand, graph 0 to demand, graph 1 nohead lt 11 }
        eval ylabel(p == 1 ? 'share of accesses that miss' : 'share of bytes that miss')
        plot for [i = 1:words(names)] data using (of(word(names, i), $2)):(column(3 + p)) \
                 with linespoints lt 41 + i, \
             data using (of('belady', $2)):(column(3 + p)) with lines lt 41
        unset arrow 1
    }
    unset multiplot
}
