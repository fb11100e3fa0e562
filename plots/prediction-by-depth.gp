# How well are experts guessed, by how many layers ahead?
#
# Above: of what was guessed, the share that the router then chose (precision). Below: of what it
# chose, the share that was guessed (recall).
#
#   gnuplot -e "data='prediction-by-depth.dat'; out='prediction-by-depth'" plots/prediction-by-depth.gp
#
# Columns: series, layers ahead, precision, recall

if (!exists("data")) data = 'prediction-by-depth.dat'
if (!exists("out")) out = 'prediction-by-depth'
load ARG0[1:strlen(ARG0) - strlen('prediction-by-depth.gp')].'style.gp'

series = ''; most = 1
stats data using (series = add(series, strcol(1)), most = max(most, $2), $2) nooutput
key_names = series
key_style(i) = series_line(i)
head = head_for(words(series)) + 4
rows = 2
ends = direct(key_names, 6)
if (ends) { right = room_for(key_names); head = 16 }
height = head + foot + caption_height + 2 * 230
of(name, x) = strcol(1) eq name ? x : NaN

do for [format in formats] {
    eval open(format)
    if (!ends) { eval legend('lines') }
    do for [p = 1:2] {
        eval panel(p)
        set xrange [0.5:most + 0.5]
        set xtics 1
        set yrange [0:1.04]
        set xlabel p == 2 ? 'layers ahead' : ''
        if (ends) {
            eval forget_ends
            stats data using (note_end(at(series, strcol(1)), $2, column(2 + p)), 0) nooutput
            eval name_ends('key_names', 0, 1.04)
        }
        eval ylabel(p == 1 ? 'precision' : 'recall')
        plot for [i = 1:words(series)] data using (of(word(series, i), $2)):(column(2 + p)) \
                 with linespoints lt series_line(i) lw 2
        eval drop_ends
    }
    unset multiplot
}
