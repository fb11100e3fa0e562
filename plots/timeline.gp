# What overlaps with what in one pass?
#
# One panel for each cell, on the same time scale. The lowest lane is the computing thread:
# computing a layer (its number in the box) or waiting for it. The lanes above are the reads under
# way. Waiting below a read is a load that nothing hid; a gap between reads is storage that stood
# idle.
#
#   gnuplot -e "data='timeline.dat'; out='timeline'" plots/timeline.gp
#
# Columns: panel, kind, lane (0: the computing thread), start_ms, end_ms, layer

if (!exists("data")) data = 'timeline.dat'
if (!exists("out")) out = 'timeline'
load ARG0[1:strlen(ARG0) - strlen('timeline.gp')].'style.gp'

panels = ''; top = 0; lanes = 0
stats data using (panels = add(panels, strcol(1)), top = max(top, $5), lanes = max(lanes, $3), $3) \
    nooutput

rows = words(panels)
left = 100
key_names = '"compute" "wait" "read"'
key_style(i) = 20 + i
head = head_for(3) + 26
gap_y = 44
height = head + foot + caption_height + rows * (36 * (lanes + 1) + 10) + gap_y * (rows - 1)
s = time_scale(top)
of(kind, x) = strcol(1) eq word(panels, p) && strcol(2) eq kind ? x : NaN
wide = top * 24 / (width - left - right)
bar = 0.42
kind_of(k) = word('compute wait read', k)
narrow(k, x) = $5 - $4 <= wide / 3 ? of(kind_of(k), x) : NaN # a border would cover it
broad(k, x) = $5 - $4 > wide / 3 ? of(kind_of(k), x) : NaN

do for [format in formats] {
    eval open(format)
    set linetype 21 lc rgb blue
    set linetype 22 lc rgb red
    set linetype 23 lc rgb sky
    eval legend('boxes')
    do for [p = 1:rows] {
        eval panel(p)
        unset grid
        set grid x
        set yrange [-0.6:lanes + 0.6]
        set xrange [0:top * s]
        set ytics scale 0
        set ytics ('compute' 0)
        do for [i = 1:lanes] { set ytics add ((lanes > 1 ? sprintf('read %d', i) : 'read') i) }
        set format x (p == rows ? '%g' : '')
        set xtics roomy(top * s, 3)
        set xlabel (p == rows ? 'time in the pass'.in_unit(s) : '')
        set title fit(word(panels, p), panel_w(0), 18)
        plot for [k = 1:3] data using (narrow(k, $4 * s)):3:($4 * s):($5 * s):\
                 ($3 - bar):($3 + bar) with boxxyerror lt 20 + k fs solid 1 noborder, \
             for [k = 1:3] data using (broad(k, $4 * s)):3:($4 * s):($5 * s):\
                 ($3 - bar):($3 + bar) with boxxyerror lt 20 + k fs solid 1 border lc rgb '#ffffff', \
             data using (of('compute', ($4 + $5) / 2 * s)):3:($5 - $4 > wide ? strcol(6) : '') \
                 with labels font ',13' tc rgb '#ffffff'
    }
    unset multiplot
}
