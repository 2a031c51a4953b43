#!/bin/sh
# A benchmark from a plan as a person meets it: what is wrong with a plan, running it, failures, shards, merging.
. "$IMIAD_SOURCE/tests/script.sh"
benchmark=$1
cd "$scratch"

# plan FILE SETTINGS [TOP]: a tiny plan; PaDiM and SPADE on two products of 32 pixels
plan() {
    cat >"$1" <<JSON
{"plan": 1, "note": "a test", ${3:-}
 "datasets": {"synthetic": {"options": {"size": 32, "train": 3, "test_good": 2, "test_defective": 2},
                            "categories": ["fabric", "hex_nut"]}},
 "defaults": {"weights": "random", "options": {"resize": 32, "crop": 32}},
 "detectors": {"padim": {"options": {"layers": "layer1", "dimension": 8}},
               "wide": {"type": "padim", "options": {"layers": "layer1", "dimension": 9}}},
 "settings": [$2]}
JSON
}

# ---- mistakes; test_plans.c has those of plans ----
printf '{"plan": 1, "datasets": {"synthetic": {}}, "detectors": {"padim": {"weights": "random", "options": {"dimension": -1}}},
    "settings": [{"setting": "unsupervised"}]}' >range.json
says "an option out of range, before anything runs" "range.json: detectors.padim: " "$benchmark" run range.json
works "and no store is left" test ! -e range.sqlite
says "a command that there is not" 'there is no command "walk"' "$benchmark" walk
says "an option of another command" 'this command has no option "keep-first"' "$benchmark" list --keep-first range.json

works "what every cell begins with, which estimate times" "$benchmark" start

# ---- what lacks ----
cat >lacking.json <<'JSON'
{"plan": 1, "datasets": {"mvtec_ad": {"categories": ["bottle", "cable"]}, "synthetic": {"categories": ["fabric"]}},
 "detectors": {"padim": {"weights": "random"}, "spade": {"backbone": "resnet50"}, "draem": {}},
 "settings": [{"setting": "unsupervised"}]}
JSON
works "a plan for another machine" sh -c "'$benchmark' list lacking.json >lacking"
works "a dataset without a place is told" grep -q 'lacking for 6 cells: .*--root mvtec_ad=FOLDER' lacking
works "weights without a file are told" grep -q 'lacking for 3 cells: .*--weights resnet50=FILE' lacking
works "what needs neither can be run" test "$(grep -c ' open ' lacking)" -eq 2

# ---- running ----
dump() { # of a store, without costs
    python3 - "$1" <<'PY'
import sqlite3, sys
for row in sqlite3.connect(sys.argv[1]).execute(
        "select c.setting, c.value, c.category, c.detector, c.options, c.seed, m.name, m.number from cells c join measurements m "
        "on m.cell = c.id order by 1, 2, 3, 4, 5, 6, 7"):
    if not row[6].endswith(("_seconds", "_per_second", "_bytes")):
        print(row)
PY
}
plan small.json '{"setting": "unsupervised", "detectors": ["padim"]},
    {"setting": "noisy", "options": {"ratio": [0.5]}, "categories": ["fabric"], "detectors": ["wide"]},
    {"setting": "continual", "detectors": ["padim"]}' '"seeds": [3],'
works "a plan runs with two workers" "$benchmark" run small.json --workers 2 --threads 2
works "all of it is finished and not run again" sh -c "'$benchmark' run small.json 2>again | grep -q '^5 cells: 5 finished, 0 failed, 0 open, 0 cannot' &&
    ! grep -q '\[1/' again"
dump small.sqlite >whole.txt
works "a cell keeps the command that runs it again" sh -c \
    "sqlite3 small.sqlite \"select command from cells where setting = 'noisy'\" | grep -q '^noisy --ratio 0.5 .*--seed 3'"
works "a shard runs its part into a store of its own" "$benchmark" run small.json --shard 1/2 --store one.sqlite
works "another shard the others" "$benchmark" run small.json --shard 2/2 --store two.sqlite
works "together they have all" sh -c "'$benchmark' status small.json --store one.sqlite --store two.sqlite | grep -q '^5 cells: 5 finished' &&
    sqlite3 one.sqlite 'select count(*) from cells' | grep -q '^[1-4]\$'"
works "both become one" "$benchmark" merge one.sqlite two.sqlite -o merged.sqlite
dump merged.sqlite >merged.txt
works "which is as if one machine had run all" cmp whole.txt merged.txt
works "what it will cost is known from what it cost" sh -c "'$benchmark' estimate small.json --all --cells | tee estimate | grep -q '^5 cells: 0.0' &&
    ! grep -q '?' estimate"

# ---- reports ----
works "a page of several stores" "$benchmark" report one.sqlite two.sqlite -o page.html
works "which names its command" grep -q "benchmark report one.sqlite two.sqlite -o page.html" page.html
works "shows every cell" grep -q "5 finished cells" page.html
works "with the scores of its images and their threshold" grep -q "Threshold .*largest F1 score" page.html
works "and the whole matrix of a sequence" grep -q 'id="figure-matrix-1"' page.html
plan looks.json '{"setting": "unsupervised", "detectors": ["padim"]}' '"pictures": true,'
works "pictures are kept where the plan says so" sh -c "'$benchmark' run looks.json --threads 1 && '$benchmark' report looks.sqlite -o looks.html"
works "and stand side by side" sh -c "grep -q 'Maps side by side' looks.html && grep -q 'data:image/png;base64' looks.html &&
    ! grep -q 'data:image/png' page.html"
works "the tables alone" sh -c "'$benchmark' report one.sqlite two.sqlite -o both.csv &&
    '$benchmark' report merged.sqlite -o whole.csv"
works "are those of the merged store" cmp both.csv whole.csv
works "some of the cells" sh -c "'$benchmark' report merged.sqlite --setting noisy -o some.html &&
    grep -q 'finished cells' some.html && ! grep -q '5 finished cells' some.html"
says "a report of another kind" "ends in none of" "$benchmark" report merged.sqlite -o page.pdf
says "of a store that is none" "no result store" "$benchmark" report nowhere.sqlite -o none.html
works "and leaves nothing" sh -c "! ls | grep -q none.html"
says "into a folder that is not there" "there is no such folder" "$benchmark" report merged.sqlite -o nowhere/page.html
works "which is not made" test ! -e nowhere

# ---- transfers, and what it costs image by image ----
plan more.json '{"setting": "transfer", "options": {"source": "fabric", "shots": 2}, "detectors": ["padim"]},
    {"setting": "efficiency", "options": {"images": 3, "warm-up": 1}, "categories": ["fabric"], "detectors": ["padim"]}'
works "transfers and times from a plan" "$benchmark" run more.json --threads 1
works "are a cell for each target and one for each category" sh -c "'$benchmark' status more.json | tee status | grep -q '^2 cells: 2 finished' &&
    grep -q 'transfer *padim *1' status && grep -q 'efficiency *padim *1' status"
works "a transfer knows its source" sh -c \
    "sqlite3 more.sqlite \"select value from cells where setting = 'transfer'\" | grep -qx 'shots=2 source=fabric'"
works "the setting's program has the same cell" sh -c "\$(sqlite3 more.sqlite \"select '$(dirname "$benchmark")/' || command from cells
    where setting = 'transfer'\") | grep -q 'target after.*hex_nut' && sqlite3 more.sqlite 'select count(*) from cells' | grep -qx 2"
works "and so has the one that measures times" sh -c "\$(sqlite3 more.sqlite \"select '$(dirname "$benchmark")/' || command from cells
    where setting = 'efficiency'\") | grep -q 'padim on fabric was measured before'"
works "they stand in the report" sh -c "'$benchmark' report more.sqlite -o more.html && grep -q 'Time and memory of each detector' more.html &&
    grep -q 'shots=2 source=fabric' more.html"
works "a table for a page has a row for each detector and number of images" sh -c "'$benchmark' table small.sqlite more.sqlite >table.md"
works "a column for each category, and times by threads" grep -qx \
    '| detector | images | fabric | hex_nut | fit, s | image, ms | peak, MB | alone, 1 thread, ms |' table.md
figures=$(sqlite3 small.sqlite "select printf('%.3f', number) from results where setting = 'unsupervised' and category = 'fabric' and
    name in ('image_auroc', 'pixel_auroc', 'aupro') order by case name when 'image_auroc' then 0 when 'pixel_auroc' then 1 else 2 end" |
    paste -sd/ | sed 's|/| / |g')
works "with the store's figures" grep -q "^| padim | all | $figures | [0-9]" table.md
works "and median and 99th percentile of an image alone" grep -Eq '^\| padim \| all .*\| [0-9.]+ / [0-9.]+ \|$' table.md
says "a table of a store that is none" "no result store" "$benchmark" table nowhere.sqlite
works "what they cost is known" sh -c "! '$benchmark' estimate more.json --all --cells | grep 'efficiency' | grep -q '?'"

# ---- conflicts ----
cp two.sqlite other.sqlite
sqlite3 other.sqlite "update measurements set number = 0.125 where name = 'image_auroc'"
says "stores that contradict each other are named" "image_auroc is" "$benchmark" merge other.sqlite -o merged.sqlite
dump merged.sqlite >again.txt
works "and nothing is written" cmp merged.txt again.txt
works "nothing is left behind" sh -c '! ls | grep -q part'
works "unless the first is to be kept" "$benchmark" merge other.sqlite -o merged.sqlite --keep-first

# ---- what is learned once for all shots ----
cat >once.json <<'JSON'
{"plan": 1, "datasets": {"synthetic": {"options": {"size": 64, "train": 4, "test_good": 2, "test_defective": 2},
                                       "categories": ["fabric"]}},
 "detectors": {"regad": {"weights": "random", "options": {"resize": 64, "epochs": 1, "train_batch": 4}},
               "padim": {"weights": "random", "options": {"resize": 32, "crop": 32, "layers": "layer1", "dimension": 8}}},
 "settings": [{"setting": "fewshot", "options": {"shots": [1, 2]}, "models": "learned"}]}
JSON
works "a plan in which RegAD learns once" "$benchmark" run once.json --threads 1
works "has a cell for each number of shots" sh -c "'$benchmark' status once.json | tee status | grep -q '^4 cells: 4 finished' &&
    grep -q 'fewshot *regad *2' status"
works "and one file of what was learned" sh -c 'test "$(ls learned-synthetic-regad-0)" = fabric.imiad && ! ls | grep -q learned.*padim'
sqlite3 once.sqlite "pragma foreign_keys = on; delete from cells where detector = 'regad' and value like '%shots=1%'"
works "a cell that is gone is made again from it" sh -c "'$benchmark' status once.json | grep -q '2 open' && '$benchmark' run once.json --threads 1 &&
    '$benchmark' status once.json | grep -q '^4 cells: 4 finished'"
sed 's/"fewshot", "options": {"shots": \[1, 2\]}/"noisy"/' once.json >wrong.json
says "nothing is learned once in another setting" "settings[0].models: nothing is learned once" "$benchmark" list wrong.json

# ---- failures are results ----
plan mixed.json '{"setting": "unsupervised", "categories": ["fabric"], "detectors": ["padim", "spade"]}'
sed -i 's/"wide": .*/"spade": {"options": {"memory_budget": 1, "resize": 128, "crop": 128}}},/' mixed.json
says "a cell that fails does not keep others from running" "FAILED" "$benchmark" run mixed.json --workers 2
works "its message is kept" sh -c "'$benchmark' status mixed.json | tee status | grep -q '^2 cells: 1 finished, 1 failed' &&
    grep -q memory_budget status"
works "and stands in the report" sh -c "'$benchmark' report mixed.sqlite -o failed.html &&
    grep -q '1 cells failed' failed.html && grep -q memory_budget failed.html"
works "it is left alone" sh -c "! '$benchmark' run mixed.json 2>&1 | grep -q FAILED"
says "and told in the exit status" "1 cells failed in an earlier run" "$benchmark" run mixed.json
says "until it is asked for" "FAILED" "$benchmark" run mixed.json --retry-failed
finish example-benchmark
