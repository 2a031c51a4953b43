#!/bin/sh
# What the comparison prints of a store of made-up values, and what it says to bad input.
. "$IMIAD_SOURCE/tests/script.sh"
program=$1 make_store=$2
store=$scratch/r.sqlite
works "a store can be made" "$make_store" "$store"

# line STATEMENT PATTERN OPTIONS...: a line of the table fits the pattern
line() {
    statement=$1 pattern=$2
    shift 2
    works "$statement" sh -c "\"\$@\" | grep -qE \"\$0\"" "$pattern" "$program" --results "$store" "$@"
}

# image AUROC of MPDD, average: 0.525, 0.535, 0.545 over three seeds; published 0.948
line "mean, deviation, runs, published, difference" \
    '^average +image_auroc +0\.5350 +0\.0100 +3 +0\.948 +-0\.4130' \
    --detector patchcore --setting unsupervised --category average
line "one seed has no deviation" '^average +image_auroc +0\.4250 +- +1 ' --setting noisy
line "a noisy figure is a trend, and the footnote says why" '^average .* trend \[1\]' \
    --setting noisy --category average --metric image_auroc
line "the footnote itself" '^\[1\] trend: the sampler drew good test images' \
    --setting noisy --category average --metric image_auroc
line "an average over other categories gets no difference" \
    '^average +image_auroc +0\.5150 +- +1 +0\.[0-9]+ +- ' --detector padim
line "and a note" 'average of 4 of the 6 categories' --detector padim
line "a sampled overlap is compared with the sampled one" \
    '^tubes +aupro_sampled +0\.3000 .* [+-]0\.[0-9]+$' --detector patchcore --setting unsupervised
line "an exact one says that it is" 'sampled at 100 thresholds' --detector padim
line "an undefined value is a dash" '^bracket_black +pixel_ap +- +- +0 ' --detector padim
line "options that are not the defaults are named, others not" '^coreset_ratio=0\.01$' \
    --detector patchcore
line "--all shows what nobody published" '^average +image_auroc +0\.5250 +- +1 +- +-' \
    --detector my_own --all
line "costs are shown with --all" '^average +fit_seconds +2\.0000' \
    --detector patchcore --setting unsupervised --all
works "without --all they are not" sh -c "! '$program' --results '$store' | grep -q fit_seconds"

works "it writes files" "$program" --results "$store" --csv "$scratch/c.csv" --json "$scratch/c.json"
cat >"$scratch/check.py" <<'PY'
import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1] + "/c.csv", newline="")))
objects = json.load(open(sys.argv[1] + "/c.json"))
assert len(rows) == len(objects) > 0
for row, other in zip(rows, objects):
    assert set(row) == set(other)
    for name, value in other.items():
        if isinstance(value, str):
            assert row[name] == value, name
        else:
            assert row[name] == "" if value is None else float(row[name]) == value, name
    if other["difference"] is not None:
        assert other["difference"] == other["mean"] - other["published"]
one = [o for o in objects if o["detector"] == "patchcore" and o["setting"] == "unsupervised"
       and o["category"] == "average" and o["metric"] == "image_auroc"]
assert len(one) == 1 and one[0]["published"] == 0.948 and one[0]["source"] == "results tables"
assert abs(one[0]["mean"] - 0.535) < 1e-15 and one[0]["categories"] == 6
PY
works "which hold the same" python3 "$scratch/check.py" "$scratch"

works "a text that a spreadsheet would run stands behind an apostrophe" sh -c \
    "'$program' --results '$store' --all --csv - | grep -q \",\\\"'=1+1\\\",\""

says "no store" "$scratch/none" "$program" --results "$scratch/none"
says "no --results" "--results is missing" "$program"
says "a stray word" "stray" "$program" --results "$store" more
says "an unknown option" "unrecognized" "$program" --results "$store" --what
says "nothing to compare" "--all shows the rest" "$program" --results "$store" --detector my_own
says "nothing at all" "holds nothing" "$program" --results "$store" --detector x --all
says "a file that cannot be written" "/dev/null/x" "$program" --results "$store" --csv /dev/null/x
printf x >"$scratch/file"
says "a file that is no store" "$scratch/file is not a result store" "$program" --results "$scratch/file"
works "help" "$program" --help

finish example-compare
