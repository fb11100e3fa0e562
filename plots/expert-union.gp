# How many experts does a layer need for several tokens at once?
#
# Tokens of one sequence that follow each other (drafted, or a prompt's) and tokens of as many
# sequences (a batch), between the bounds: every token chooses the same experts (as one does), and no
# two ever do. Each expert is read once, whatever number of tokens it serves.
#
#   gnuplot -e "data='expert-union.dat'; out='expert-union'" plots/expert-union.gp
#
# Columns: tokens, experts of a layer: tokens in a row, tokens apart, even choices, none in common

if (!exists("data")) data = 'expert-union.dat'
if (!exists("out")) out = 'expert-union'
load ARG0[1:strlen(ARG0) - strlen('expert-union.gp')].'style.gp'

most = 1; top = 1
stats data using (most = max(most, $1), top = max(top, max($2, $4)), $1) nooutput
key_names = '"tokens in a row" "tokens apart" "even choices" "all different"'
key_style(i) = i == 1 ? 3 : i == 2 ? 4 : i == 3 ? 11 : 12
head = head_for(4) + 4
height = head + foot + caption_height + 330

do for [format in formats] {
    eval open(format)
    eval legend('lines')
    eval panel(1)
    set logscale x 2
    set xrange [1:most]
    set yrange [0:top * 1.08]
    set xlabel 'tokens of a pass'
    eval ylabel('experts that a layer needs')
    plot data using 1:($5 <= top * 1.08 ? $5 : NaN) with lines lt 12, \
         data using 1:4 with lines lt 11, \
         data using 1:3 with linespoints lt 4 lw 2, data using 1:2 with linespoints lt 3 lw 2
    unset logscale x
    unset multiplot
}
