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
key_names = series.(demand > 0 ? '"demand of a token"' : '')
key_style(i) = i > words(series) ? 11 : many_line(word(series, i), i)
ends = direct(series, 16)
if (ends) { right = room_for(series); head = 34 }
if (!ends) { head = head_for(words(key_names)) + 4 }
rows = 1 + sizes
height = head + foot + caption_height + 330 * rows
of(name, x) = strcol(1) eq name ? x : NaN

do for [format in formats] {
    eval open(format)
    eval many_lines(words(series))
    if (!ends) { eval legend('lines') }
    do for [p = 1:rows] {
        eval panel(p)
        set xrange [0:most * 1.02]
        set yrange [0:1.04]
        set xlabel p == rows ? 'experts that the cache holds' : ''
        if (demand > 0) { set arrow 1 from demand, graph 0 to demand, graph 1 nohead lt 11 }
        if (ends) {
            eval forget_ends
            stats data using (note_end(at(series, strcol(1)), $2, column(3 + p)), 0) nooutput
            eval name_ends('series', 0, 1.04)
            if (demand > 0 && p == 1) { set label 1 'demand of one token' at demand, graph 1.04 center font ',16' }
        }
        eval ylabel(p == 1 ? 'share of accesses that miss' : 'share of bytes that miss')
        plot for [i = 1:words(series)] data using (of(word(series, i), $2)):(column(3 + p)) \
                 with linespoints lt key_style(i)
        unset arrow 1
        unset label 1
        eval drop_ends
    }
    unset multiplot
}
