# What share of guessed tokens must be right for guessing to pay off?
#
# Across, computing a pass over loading what is not in memory; up, the share of guesses that are
# right once those before them were. Above its line a draft of that length pays off, below it costs
# more than it brings: where loading takes the time (left) a few right guesses do. Points are
# measured cells, full where a token was faster than without guessing, else open.
#
#   gnuplot -e "data='break-even.dat'; out='break-even'" plots/break-even.gp
#
# Columns: kind (line, cell), length of drafts, compute_by_load, acceptance, pays (0, 1)

if (!exists("data")) data = 'break-even.dat'
if (!exists("out")) out = 'break-even'
load ARG0[1:strlen(ARG0) - strlen('break-even.gp')].'style.gp'

lengths = ''; low = 1e300; high = 0
stats data using (lengths = add(lengths, strcol(2)), low = min(low, $3), high = max(high, $3), $3) nooutput
key_names = ''
do for [n in lengths] { key_names = key_names.'"'.n.' guessed" ' }
key_style(i) = series_line(i)
head = head_for(words(lengths)) + 4
height = head + foot + caption_height + 330
of(kind, n, x) = strcol(1) eq kind && strcol(2) eq n ? x : NaN

do for [format in formats] {
    eval open(format)
    do for [i = 1:8] { set linetype i pt 7 ps k } # full and open tell something else
    eval legend('lines')
    eval panel(1)
    set logscale x 2
    set xrange [low:high]
    eval set_twos('x', low, high)
    set yrange [0:1.03]
    set xlabel 'computing / loading (c/t)'
    eval ylabel('share that is right')
    plot for [i = 1:words(lengths)] data using (of('line', word(lengths, i), $3)):4 \
             with lines lt series_line(i), \
         for [i = 1:words(lengths)] data using (of('cell', word(lengths, i), $5 == 1 ? $3 : NaN)):4 \
             with points lt series_line(i) pt 7, \
         for [i = 1:words(lengths)] data using (of('cell', word(lengths, i), $5 == 0 ? $3 : NaN)):4 \
             with points lt series_line(i) pt 6
    unset logscale x
    unset multiplot
}
