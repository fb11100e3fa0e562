# When did it become slower?
#
# A panel for each metric of a cell: the median of each result with its interval, in the order of
# their time. A mark and a vertical line stand where a result is different from all since the last
# change; a grey line where machine or work changed, which begins anew. Results lie apart in time, so
# that a drift of the machine looks like a change.
#
#   gnuplot -e "data='history.dat'; out='history'" plots/history.gp
#
# Columns: panel, series, place, label, median, low, high, mark (1: changed, 2: other work, 3: other
# machine)

if (!exists("data")) data = 'history.dat'
if (!exists("out")) out = 'history'
load ARG0[1:strlen(ARG0) - strlen('history.gp')].'style.gp'

names = ''; last = 0
stats data using (names = add(names, strcol(2)), last = max(last, $3), 0) nooutput
panels = words(names)

key_columns = 2
key_names = '"result" "changed"'
key_style(i) = i == 1 ? 3 : 2
head = head_for(2) + 4
each = 190
height = head + foot + caption_height + each * panels
every = ceil(last / 6.0)
line_if(yes) = yes ? $3 - 0.5 : NaN

do for [format in formats] {
    eval open(format)
    eval legend('points')
    do for [p = 0:panels - 1] {
        eval panel(1)
        set tmargin at screen 1 - (head + each * p + 34.0) / height
        set bmargin at screen 1 - (head + each * (p + 1) - 26.0) / height
        set label 1 word(names, p + 1) at graph 0, graph 1.1 left font ',15'
        lowest = 1e300; highest = 0
        stats data index p using (lowest = min(lowest, $6), highest = max(highest, $7), 0) nooutput
        span = highest - lowest + 0.02 * highest
        set xrange [0.5:last + 0.5]
        set yrange [lowest - 0.2 * span:highest + 0.2 * span]
        set xlabel ''
        set xtics scale 0 font ',13'
        plot data index p using (line_if($8 == 1)):(lowest - span):(0):(4 * span) \
                 with vectors nohead lt 2 dt 1 lw 1, \
             data index p using (line_if($8 > 1)):(lowest - span):(0):(4 * span) \
                 with vectors nohead lt 12 dt 1 lw 1.5, \
             data index p using 3:5:6:7:xtic(int($3 - 1) % every == 0 ? strcol(4)[1:10] : '') \
                 with yerrorbars lt 3 dt 1 lw 1.5, \
             data index p using ($8 == 1 ? $3 : NaN):5 with points lt 2 ps 1.2 * k
        unset label 1
    }
    unset multiplot
}
