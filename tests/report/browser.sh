#!/bin/sh
# A report in a real browser: Debian's Chromium without a window. Run by hand, as it is large:
#
#     apt-get install chromium
#     tests/report/browser.sh FOLDER [REPORT.html]
#
# Without a report it makes one from the build folder `build`: of stores that hold the paper's figures, which take the
# shared data, and of a small plan with pictures. Leaves eight screenshots in FOLDER, 1400 and 420 pixels wide, with and without scripts, light and
# dark, which are to be looked at; checks that the page says nothing to the console, and that
# sorting and filtering do what they say.
set -eu
mkdir -p "$1"
folder=$(readlink -f "$1")
page=${2:-}
failed=0
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT

make_page() {
    source=$(cd "$(dirname "$0")/../.." && pwd)
    ninja -C "$source/build" tests/test-report examples/imiad-benchmark
    (cd "$source" && IMIAD_REPORT_FOLDER="$profile" IMIAD_SOURCE="$source" build/tests/test-report)
    cat >"$profile/plan.json" <<'JSON'
{"plan": 1, "pictures": true, "seeds": [0, 1],
 "datasets": {"synthetic": {"options": {"size": 64, "train": 6, "test_good": 4, "test_defective": 8}}},
 "defaults": {"weights": "random", "options": {"resize": 64, "crop": 64}},
 "detectors": {"padim": {}, "patchcore": {}, "spade": {}},
 "settings": [{"setting": "unsupervised"}, {"setting": "continual", "seeds": [0]}]}
JSON
    "$source/build/examples/imiad-benchmark" run "$profile/plan.json" --store "$profile/run.sqlite"
    cd "$profile"
    "$source/build/examples/imiad-benchmark" report run.sqlite VI.sqlite VII.sqlite VIII.sqlite IX.sqlite X.sqlite \
        XI.sqlite XII.sqlite XIII.sqlite -o page.html 2>"$folder/conflicts"
    page=$profile/page.html
}
[ -n "$page" ] || make_page
page=$(readlink -f "$page")

browse() { # URL OPTION...
    url=$1
    shift
    chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$profile" \
        --enable-logging=stderr "$@" "$url" 2>"$folder/log"
    if grep CONSOLE "$folder/log"; then
        failed=1
        echo "FAILED: the page speaks to the console"
    fi
}

cp "$page" "$profile/scripts.html"
sed '/^<\/main>/,$d' "$page" >"$profile/plain.html" # without its script

for width in 1400 420; do
    for theme in light dark; do
        for scripts in scripts plain; do
            name=$width-$theme-$scripts
            browse "file://$profile/$scripts.html" --window-size=$width,4000 \
                --screenshot="$folder/$name.png" \
                --blink-settings=preferredColorScheme=$([ $theme = dark ] && echo 0 || echo 1)
            echo "$name.png"
        done
    done
done

# A copy without the policy, and with a script that clicks.
python3 - "$page" "$profile/clicked.html" <<'PY'
import re
import sys
source = open(sys.argv[1], encoding="utf-8").read()
source = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*/>', "", source)
clicks = """
<script>
const said = [];
const say = (what, truth) => said.push((truth ? "holds: " : "FAILED: ") + what);
const table = document.getElementById("grid-VI"), form = document.getElementById("filter");
const column = [...table.tHead.querySelectorAll("th")].find((th) => th.textContent.startsWith("RD4AD"));
const at = Number(column.dataset.column);
const numbers = () => [...table.tBodies[0].rows].map((row) => number(row.cells[at])).filter((x) => !isNaN(x));
const ordered = (list, sign) => list.every((x, i) => i === 0 || sign * (x - list[i - 1]) >= 0);
column.querySelector("button").click();
say("a click sorts, the largest first", ordered(numbers(), -1) &&
    column.getAttribute("aria-sort") === "descending");
column.querySelector("button").click();
say("another click turns it round", ordered(numbers(), 1) &&
    column.getAttribute("aria-sort") === "ascending");
const set = (name, value) => { form.elements[name].value = value; form.elements[name].dispatchEvent(new Event("change")); };
const shown = () => [...table.tBodies[0].rows].filter((row) => !row.hidden);
say("the filters are shown", !form.hidden && form.elements.metric.options.length > 2);
set("metric", "image_auroc");
say("a metric leaves its lines", shown().length === 7);
set("dataset", "mpdd");
say("and a dataset one of them", shown().length === 1);
const noisy = document.getElementById("grid-X");
say("columns of other datasets are gone", [...noisy.tHead.rows[1].cells].filter((th) => !th.hidden).length === 4);
say("their heads too", [...noisy.tHead.rows[0].cells].filter((th) => !th.hidden).length === 2);
say("tables of other datasets are gone", document.getElementById("table-VII").hidden);
set("metric", "pixel_ap");
const uniform = document.getElementById("grid-XI");
say("columns of other metrics are gone", [...uniform.tHead.rows[1].cells].filter((th) => !th.hidden).length === 1);
const images = [...document.querySelectorAll("#figures img")];
say("pictures are shown and described", images.length === 0 || images.every((img) => img.naturalWidth > 0 && img.alt));
form.reset();
setTimeout(() => {
    say("everything comes back", shown().length === 35 && !document.getElementById("table-VII").hidden);
    document.body.dataset.said = said.join("|");
}, 100);
</script></body>"""
open(sys.argv[2], "w", encoding="utf-8").write(source.replace("</body>", clicks))
PY
browse "file://$profile/clicked.html" --dump-dom >"$profile/dom"
grep -o 'data-said="[^"]*"' "$profile/dom" | sed 's/data-said="//; s/"$//' | tr '|' '\n' | tee "$folder/clicks"
[ -s "$folder/clicks" ] && ! grep -q FAILED "$folder/clicks" && [ $failed = 0 ] ||
    { echo "the page in the browser: FAILED"; exit 1; }
echo "the page in the browser: all holds"
