# How soon is an expert needed again?
#
# Of all choices of an expert, the share that its layer had made before within so many tokens. The
# grey line is what even, independent choices would give: the distance to it is what recency has
# to work with.
#
#   gnuplot -e "data='expert-reuse.dat'; out='expert-reuse'" plots/expert-reuse.gp
#
# Columns: tokens since the last use, share of choices up to here, the same of even choices

if (!exists("data")) data = 'expert-reuse.dat'
if (!exists("out")) out = 'expert-reuse'
load ARG0[1:strlen(ARG0) - strlen('expert-reuse.gp')].'style.gp'

most = 1
stats data using (most = max(most, $1), $1) nooutput
key_names = '"this trace" "even choices"'
key_style(i) = i == 1 ? 3 : 11
head = head_for(2) + 4
ends = direct(key_names, 6)
if (ends) { right = room_for(key_names); head = 16 }
height = head + foot + caption_height + 330

do for [format in formats] {
    eval open(format)
    if (!ends) { eval legend('lines') }
    eval panel(1)
    set logscale x 2
    set xrange [1:most]
    set yrange [0:1.02]
    set xlabel 'tokens since the expert was used last'
    eval ylabel('share of choices')
    if (ends) {
        eval forget_ends
        stats data using (note_end(1, $1, $2) + note_end(2, $1, $3), 0) nooutput
        eval name_ends('key_names', 0, 1.02)
    }
    plot data using 1:3 with lines lt 11, data using 1:2 with linespoints lt 3 lw 2
    eval drop_ends
    unset logscale x
    unset multiplot
}
