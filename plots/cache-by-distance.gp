# Which cache size and which distance belong together?
#
# Above: median time of a pass for each cache size (across) and prefetch distance (up); dark is
# fast. Below: the part of it in which the computation waited for storage. Where waiting is near
# zero, compute is the limit and more cache or distance gains nothing.
#
#   gnuplot -e "data='cache-by-distance.dat'; out='cache-by-distance'" plots/cache-by-distance.gp
#
# Columns: cache, distance, pass_ms, wait_ms

if (!exists("data")) data = 'cache-by-distance.dat'
if (!exists("out")) out = 'cache-by-distance'
if (!exists("unit")) unit = 'layers'
if (!exists("mode")) mode = 'prefetch'
load ARG0[1:strlen(ARG0) - strlen('cache-by-distance.gp')].'style.gp'

caches = ''; distances = ''; waits = 0; top = 0
stats data using (caches = add(caches, strcol(1)), distances = add(distances, strcol(2)), \
                  top = max(top, $3), $3) nooutput
stats data using (waits = waits + valid(4), 0) nooutput

sorted(list, from) = _sorted(list, from, 1e300, words(list))
_sorted(list, from, best, i) = i == 0 ? best : \
    _sorted(list, from, word(list, i) + 0 > from ? min(best, word(list, i) + 0) : best, i - 1)
in_sequence(list, from, n) = \
    n == 0 ? '' : add('', sprintf('%g', sorted(list, from))).in_sequence(list, sorted(list, from), n - 1)
distances = in_sequence(distances, -1, words(distances))

rows = waits > 0 ? 2 : 1
left = 74
right = 96
head = 30
gap_y = 104
height = head + foot + caption_height + gap_y * (rows - 1) + rows * max(150, 34 * words(distances))
s = time_scale(top)
numbers = words(caches) <= 8 && words(distances) <= 8
column_of(p) = p == 1 ? 3 : 4

do for [format in formats] {
    eval open(format)
    do for [p = 1:rows] {
        eval panel(p)
        unset key
        unset grid
        set tics scale 0
        stats data using (column(column_of(p)) * s) nooutput
        low = STATS_min
        high = STATS_max > STATS_min ? STATS_max : STATS_min + 1
        ink(x) = x - low < 0.55 * (high - low)
        set cbrange [low:high]
        set colorbox user origin screen (width - right + 12.0) / width, \
            screen (y1(p) - panel_h(0)) / height size screen 14.0 / width, screen panel_h(0) / height
        set xrange [0.5:words(caches) + 0.5]
        set yrange [0.5:words(distances) + 0.5]
        set xtics () norangelimit
        set ytics () norangelimit
        do for [i = 1:words(caches)] { set xtics add (sprintf('%.3g', word(caches, i) + 0) i) }
        do for [i = 1:words(distances)] { set ytics add (word(distances, i) i) }
        set xlabel 'cache ('.unit.')'
        eval ylabel('distance (layers)')
        set title (p == 1 ? mode.': decode pass'.in_unit(s) : mode.': waiting in it'.in_unit(s))
        plot data using (at(caches, strcol(1))):(at(distances, strcol(2))):(0.5):(0.5):(column(column_of(p)) * s) \
                 with boxxyerror fs solid 1 noborder fc palette, \
             data using (at(caches, strcol(1))):(at(distances, strcol(2))):\
                 (numbers ? sprintf('%.3g', column(column_of(p)) * s) : ''):\
                 (ink(column(column_of(p)) * s) ? 0xffffff : 0x010101) with labels font ',15' tc rgb variable
    }
    unset multiplot
}
