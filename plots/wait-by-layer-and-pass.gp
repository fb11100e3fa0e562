# When are layers waited for?
#
# One panel for each cell: passes from left to right (0 is the prompt), layers from below; bright
# is a long wait, on one scale for all panels. A bright first column is the cold start; lines that
# go on through all passes are layers that are never kept; a pattern that wanders is the policy at
# work.
#
#   gnuplot -e "data='wait-by-layer-and-pass.dat'; out='wait-by-layer-and-pass'" plots/wait-by-layer-and-pass.gp
#
# Columns: panel, pass, layer, wait_ms; panels separated by two blank lines

if (!exists("data")) data = 'wait-by-layer-and-pass.dat'
if (!exists("out")) out = 'wait-by-layer-and-pass'
load ARG0[1:strlen(ARG0) - strlen('wait-by-layer-and-pass.gp')].'style.gp'

panels = ''; top = 0; passes = 0; layers = 0
stats data using (panels = add(panels, strcol(1)), top = max(top, $4), passes = max(passes, $2), \
                  layers = max(layers, $3), $2) nooutput

columns = words(panels) > 1 ? 2 : 1
rows = (words(panels) + columns - 1) / columns
left = 76
right = 84
head = 50 # the unit of the colours, titles
gap_y = 66
height = head + foot + caption_height + 200 * rows + gap_y * (rows - 1)
s = time_scale(top)
title_font = longest(panels) > 22 ? ',14' : ',16'

do for [format in formats] {
    eval open(format)
    do for [p = 1:words(panels)] {
        eval panel(p)
        unset key
        unset grid
        set cbrange [0:top > 0 ? top * s : 1]
        if (p == 1) {
            set label 98 'wait'.in_unit(s) at screen 0.99, screen 1 - 14.0 / height right font ',15'
            set colorbox user origin screen (width - right + 12.0) / width, \
                screen 1.0 * (foot + caption_height) / height \
                size screen 14.0 / width, \
                screen 1.0 * (height - head - foot - caption_height) / height
        } else {
            unset colorbox
        }
        set xrange [-0.5:passes + 0.5]
        set yrange [-0.5:layers + 0.5]
        set xtics 1 * ceil(passes / 8.0)
        set xlabel (p > words(panels) - columns ? 'pass' : '')
        eval ylabel(across(p) == 0 ? 'layer' : '')
        set format y (across(p) == 0 ? '%g' : '')
        set title fit(word(panels, p), panel_w(0), 16) font title_font
        plot data index p - 1 using 2:3:($4 * s) with image pixels
        unset label 98
    }
    unset multiplot
}
