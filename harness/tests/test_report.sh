#!/bin/bash
# test_report: the page needs nothing but itself, sorts, and shows its figures in light and dark.
. harness/tests/lib.sh
needs gnuplot
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
has() { grep -qE -- "$2" "$1"; }

# No network: every host name is unknown, whatever the page asks for.
browse() {
    local page=$1
    shift
    timeout 60 "$chromium" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --host-resolver-rules='MAP * ~NOTFOUND' --user-data-dir="$work/profile" --hide-scrollbars \
        --enable-logging=stderr --virtual-time-budget=2000 "$@" "file://$page" 2>"$work/log"
}

make_result "$work/a"
b=$work/a-result-with-a-name-that-is-longer-than-a-phone-is-wide-and-has-no-blanks
make_result "$b" load_ns=3000000
sed -i 's/"about": "/&<script>alert(1)<\/script> \&amp; \\"quoted\\" /' "$b/result.json"
page=$work/report.html
"$LAYERBENCH" report "$work/a" "$b" -o "$page" >"$work/out" 2>"$work/err"
check "report ends with 0" [ $? = 0 ]
check "it names the page" has "$work/out" "^$page$"

# What it says, without a browser.
check "the question" has "$page" "Which cache size and distance hide the loads"
check "the best cell" has "$page" "The fastest setting is async belady C=9 d=4: a decode pass takes"
check "the distance to the floor" has "$page" "Its floor is 24.1 ms, which is the time to compute it"
check "the limit" has "$page" "What limits it is compute"
check "text is escaped" has "$page" "&lt;script&gt;alert\(1\)&lt;/script&gt; &amp;amp; &quot;quoted&quot;"
check "26 figures" [ "$(grep -c '<svg role="img" aria-label=' "$page")" = 26 ]
check "nothing is loaded" bash -c "! grep -oE '(src|href)=\"[^\"#]+\"|@import|url\(http' '$page' | grep -v 'href=\"data:,\"'"
check "no id stands twice" bash -c "! grep -oE ' id=[\"'\''][^\"'\'']*' '$page' | tr -d '\"' | tr -d \"'\" | sort | uniq -d | grep ."

# What limits the best cell, as it was made. Without gnuplot, to be quick: the text stands alone.
limit() { # SENTENCE VARIABLES...
    local sentence=$1
    shift
    rm -rf "$work/l"
    make_result "$work/l" caches=6 policies=belady modes=async distances=4 "$@"
    PATH=/nowhere "$LAYERBENCH" report "$work/l" -o "$work/l.html" >"$work/out" 2>"$work/err"
    check "the limit of a result made with $*: $(grep -o 'What limits it is[^<]*' "$work/l.html")" \
        has "$work/l.html" "What limits it is $sentence"
    check "without gnuplot it says why there are no figures" has "$work/l.html" "gnuplot is not installed"
}
limit "storage: each pass reads [0-9.]* MB" load_ns=8000000 compute_ns=1000000 layers=40 caches=10 distances=1
limit "storage, busy for 1?[0-9]{2}% of the pass: .* layers that could have stayed are read again" \
    policies=lru load_ns=8000000
limit "compute: storage is hidden behind it" load_ns=1000000 compute_ns=6000000
limit "late prefetch: .* although storage is idle" distances=1 load_ns=6000000 compute_ns=4000000
limit "that loading and computing take turns" modes=sync

# What is damaged or empty.
mkdir "$work/c" && echo '{"layerbench":{"cells":[]}}' >"$work/c/result.json"
"$LAYERBENCH" report "$work/c" -o "$work/c.html" >/dev/null 2>&1
check "an empty result gives a page that says so" has "$work/c.html" "Nothing was measured"
"$LAYERBENCH" report "$work/nowhere" -o "$work/d.html" >/dev/null 2>"$work/err"
check "no such result is bad input" [ $? = 2 -a ! -e "$work/d.html" ]
check "and said" has "$work/err" "nowhere: no such result"

if [ -z "$chromium" ]; then
    part_skipped "no Chromium to show the page in; its text was checked"
    finish
fi

# In a browser: no message on the console, figures visible, tables sort.
browse "$page" --window-size=1280,2400 --screenshot="$work/light.png" >/dev/null
check "a screenshot in light" [ -s "$work/light.png" ]
check "nothing on the console" bash -c "! grep -E 'CONSOLE|ERR_' '$work/log'"
browse "$page" --window-size=1280,2400 --blink-settings=preferredColorScheme=0 \
    --screenshot="$work/dark.png" >/dev/null
check "a screenshot in dark, which is another" bash -c "[ -s '$work/dark.png' ] && ! cmp -s '$work/light.png' '$work/dark.png'"
browse "$page" --window-size=390,2400 --screenshot="$work/phone.png" >/dev/null
check "a screenshot as wide as a phone" [ -s "$work/phone.png" ]

cat >"$work/probe.js" <<'JS'
const table = document.querySelectorAll('table.sortable')[1];
const button = table.tHead.rows[0].cells[2].querySelector('button');
const column = () => [...table.tBodies[0].rows].map(r => parseFloat(r.cells[2].dataset.v)).join(' ');
const before = column();
button.click();
const up = column();
button.click();
const down = column();
const sorted = before.split(' ').map(Number).sort((a, b) => a - b);
const hidden = [...document.querySelectorAll('figure svg')].filter(s => s.getBoundingClientRect().height < 50);
const wide = document.documentElement.scrollWidth > innerWidth;
document.title = [up === sorted.join(' '), down === sorted.reverse().join(' '), before !== up,
    hidden.length, wide].join();
JS
sed "s|</body>|<script>$(tr '\n' ' ' <"$work/probe.js" | sed 's/[&|\\]/\\&/g')</script></body>|" "$page" >"$work/probe.html"
browse "$work/probe.html" --window-size=390,2400 --dump-dom >"$work/dom"
check "tables sort both ways, no figure is flat, the page is not wider than a phone" \
    has "$work/dom" '<title>true,true,true,0,false</title>'
finish
