# How unevenly are experts chosen, layer by layer?
#
# Each row is a layer, its experts sorted by how often they were chosen; the colour is how many
# times as often as if all were chosen alike. A layer that is bright at the left has a few experts
# that a small cache can hold; one that is all of a colour gives a cache nothing to go by.
#
#   gnuplot -e "data='expert-popularity.dat'; out='expert-popularity'" plots/expert-popularity.gp
#
# Columns: layer, rank of the expert, times the even share

if (!exists("data")) data = 'expert-popularity.dat'
if (!exists("out")) out = 'expert-popularity'
load ARG0[1:strlen(ARG0) - strlen('expert-popularity.gp')].'style.gp'

layers = 0; ranks = 0; top = 0
stats data using (layers = max(layers, $1 + 1), ranks = max(ranks, $2), top = max(top, $3), $3) nooutput
head = 20
right = 110
height = head + foot + caption_height + max(200, min(560, layers * 14))

do for [format in formats] {
    eval open(format)
    eval panel(1)
    unset grid
    set xrange [0.5:ranks + 0.5]
    set yrange [layers - 0.5:-0.5]
    set cbrange [0:top]
    set colorbox user origin screen (width - 80.0) / width, graph 0 size screen 0.02, graph 1
    set xlabel 'experts of the layer, the most popular first'
    eval ylabel('layer')
    plot data using 2:1:3 with image
    unset colorbox
    unset multiplot
}
