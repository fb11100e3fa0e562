# Which cache size is enough, and how far is each way of prefetching from the best possible?
#
# Each line: median time of a pass against the layers kept in memory, with its interval. The grey
# dotted line is the floor: no design can be faster. Where a line meets it, more cleverness gains
# nothing; a gap between sync and async is what overlap brings, a gap between async and the floor
# what is still lost. One panel for each replacement where there are more lines than one panel
# shows.
#
#   gnuplot -e "data='pass-time-by-cache.dat'; out='pass-time-by-cache'" plots/pass-time-by-cache.gp
#
# Columns: panel, series, cache, pass_ms, low_ms, high_ms, floor_ms, belady_ms, lru_ms

if (!exists("data")) data = 'pass-time-by-cache.dat'
if (!exists("out")) out = 'pass-time-by-cache'
if (!exists("unit")) unit = 'layers'
load ARG0[1:strlen(ARG0) - strlen('pass-time-by-cache.gp')].'style.gp'

panels = ''; series = ''; caches = ''; top = 0; first = 1e300; last = 0
stats data using (panels = add(panels, strcol(1)), series = add(series, strcol(2)), \
                  caches = add(caches, strcol(3)), top = max(max(top, num(7)), $6), \
                  first = min(first, $3), last = max(last, $3), $4) nooutput
policies = 0; lru = 0 # lines that are known, and inside the panel
stats data using (policies = policies + valid(8), lru = lru + (valid(9) && $9 <= 1.05 * top), 0) \
    nooutput

columns = words(panels) > 1 ? 2 : 1
rows = (words(panels) + columns - 1) / columns
key_names = series.'"floor"'.(policies > 0 ? ' "Belady reads"' : '').\
    (lru > 0 ? ' "LRU reads"' : '')
style(name) = words(series) > 4 || strstrt(name, ' ') || mode(name) > 4 ? \
    series_line(at(series, name)) : mode(name)
key_style(i) = i > words(series) ? 10 + i - words(series) : style(word(series, i))
gap_y = 40
head = head_for(words(key_names)) + (columns > 1 ? 26 : 4)
ends = columns == 1 && direct(key_names, 14)
if (ends) { right = room_for(key_names); head = 16 }
height = head + foot + caption_height + (columns == 1 ? 330 : 210 * rows + gap_y * (rows - 1))
s = time_scale(top)
here(x) = strcol(1) eq word(panels, p) ? x : NaN
of(name, x) = strcol(2) eq name ? here(x) : NaN

do for [format in formats] {
    eval open(format)
    if (!ends) { eval legend('lines') }
    do for [p = 1:words(panels)] {
        eval panel(p)
        lowest = p > words(panels) - columns
        set yrange [0:top * s * 1.05]
        set xrange [first - 0.04 * (last - first):last + 0.04 * (last - first)]
        if (words(caches) <= 8) {
            set xtics ()
            named = first - (last - first)
            do for [c in caches] {
                room = c + 0 - named > 0.065 * (last - first) # else the names would run together
                set xtics add ((lowest && room ? sprintf('%.3g', c + 0) : '') c + 0)
                if (room) { named = c + 0 }
            }
        }
        set format x (lowest ? '%g' : '')
        set xlabel (lowest ? 'cache ('.unit.')' : '')
        eval ylabel(across(p) == 0 ? 'decode pass'.in_unit(s) : '')
        set format y (across(p) == 0 ? '%g' : '')
        set title (columns == 1 ? '' : fit(word(panels, p), panel_w(0), 18))
        if (ends) {
            eval forget_ends
            stats data using (note_end(at(series, strcol(2)), num(3), num(4) * s) + \
                note_end(words(series) + 1, num(3), num(7) * s) + \
                (policies ? note_end(words(series) + 2, num(3), num(8) * s) : 0) + \
                (lru ? note_end(words(series) + 3, num(3), num(9) * s) : 0), 0) nooutput
            eval name_ends('key_names', 0, top * s * 1.05)
        }
        plot data using (here($3)):($9 * s) smooth unique with lines lt 13, \
             data using (here($3)):($8 * s) smooth unique with lines lt 12, \
             data using (here($3)):($7 * s) smooth unique with lines lt 11, \
             for [name in series] data using (of(name, $3)):($4 * s):($5 * s):($6 * s) \
                 with yerrorlines lt style(name)
        eval drop_ends
    }
    unset multiplot
}
