#!/bin/sh
# What all programs have in common: help, numbers, standard output, mistakes.
. "$IMIAD_SOURCE/tests/script.sh"
build=$(realpath "$1") torch_starts=$(realpath "$2")
cd "$scratch"
shows() {
    statement=$1 text=$2
    shift 2
    if "$@" >"$scratch/output" 2>&1 && grep -qF -- "$text" "$scratch/output"; then pass; else flunk "$statement"; fi
}
fails() {
    statement=$1 code=$2
    shift 2
    status=0
    "$@" >"$scratch/output" 2>&1 || status=$?
    if [ "$status" -eq "$code" ]; then pass; else flunk "$statement: exit status $status, not $code"; fi
}
tiny="--category fabric --set-dataset size=32 --set-dataset train=2 --set-dataset test_good=1
      --set-dataset test_defective=1 --set resize=32 --set crop=0"

for program in inspect unsupervised supervised fewshot noisy continual transfer efficiency benchmark compare list_dataset export_dataset; do
    shows "$program --help is its usage, and exits 0" "Usage: imiad-$program" "$build/imiad-$program" --help
    fails "$program looks after what it prints" "$([ $program = compare ] || [ $program = list_dataset ] || [ $program = export_dataset ] && echo 1 || echo 2)" \
        sh -c "'$build/imiad-$program' --help >/dev/full"
    shows "imiad $program runs it" "Usage: imiad-$program" "$build/imiad" "$program" --help
    works "nothing is left behind by it" sh -c "! ls | grep -q -- --"
done
shows "imiad lists them" "export_dataset" "$build/imiad" --help
shows "imiad tells its version" "imiad 0." "$build/imiad" --version
says "imiad names what it does not have" 'there is no program "inspekt"' "$build/imiad" inspekt

# ---- numbers ----
for number in 0 1x "" 99999999999; do
    says "--repeats takes a number that makes sense, not \"$number\"" "--repeats takes a whole number" \
        "$build/unsupervised" --repeats "$number"
done
"$build/unsupervised" --evaluate foo >said 2>&1 || true
works "a mistake in --evaluate is told in one line" test "$(wc -l <said)" -eq 1
"$build/unsupervised" --detector pathcore >said 2>/dev/null || true
"$build/unsupervised" --detector pathcore >/dev/null 2>said || true
works "a wrong detector is told once, not once a category" test "$(grep -c pathcore said)" -eq 1

# ---- outputs ----
# shellcheck disable=SC2086
works "a run whose record goes to standard output" sh -c "'$build/unsupervised' $(echo $tiny) --json - >r.json 2>tables"
works "which is nothing but JSON" python3 -c 'import json; assert json.load(open("r.json"))["categories"]'
works "tables go to standard error then" grep -q '^average ' tables
works "no file is called -" test ! -e -
fits() { # within 80 columns, what the program prints
    sh -c '! "$@" | grep "^.\{81\}"' sh "$@"
}
works "datasets are listed within 80 columns" fits "$build/unsupervised" --list-datasets
works "detectors, too" fits "$build/unsupervised" --list-detectors
for name in patchcore bgad csflow folder mvtec_ad fewshot; do
    works "and the options of $name" fits "$build/unsupervised" --describe $name
done
"$build/unsupervised" --describe patchcore | tr -s ' \n' ' ' >described
works "no word of them is lost" grep -q 'image_score default max max|reweighted largest patch score (the code), or weighted by its neighbourhood (the paper, equation 7) reweight_neighbours' described
works "and tables fit 80 columns" sh -c "! grep -v '^patchcore on' tables | grep -q '.\{81\}'"
# shellcheck disable=SC2086
fails "a table that cannot be written is a failure" 1 sh -c "'$build/unsupervised' $(echo $tiny) >/dev/full"
# shellcheck disable=SC2086
shows "transfer says what it ran" "patchcore on synthetic, transfer" "$build/transfer" $tiny --category hex_nut --source fabric

# ---- pictures of images with one name, and names of any bytes ----
works "images" "$build/export_dataset" drawn size=32 train=2 test_good=2 test_defective=4 categories=hex_nut
mkdir -p own/train own/test/bad/a own/good
cp drawn/hex_nut/train/good/*.png own/train
cp drawn/hex_nut/test/good/000.png own/test/bad/x.png
cp drawn/hex_nut/test/good/000.png own/test/bad/x.jpg
cp drawn/hex_nut/test/good/001.png "own/test/bad/$(printf 'cass\351').png"
cp drawn/hex_nut/test/good/001.png "own/test/bad/$(printf '%0250d' 0).png"
cp drawn/hex_nut/test/good/001.png own/good/1.png
works "are drawn" "$build/unsupervised" --dataset folder --root own --set-dataset 'train=train/*' \
    --set-dataset 'test_good=good/*' --set resize=32 --set crop=0 --maps maps --json own.json
works "each in a picture of its own" test "$(find maps -name '*.png' | wc -l)" -eq 5
works "and are in the record, whatever bytes their names hold" python3 -c '
import json
images = json.load(open("own.json"))["categories"][0]["images"]
assert len(images) == 5, images
assert any(i.get("path_percent") == "test/bad/cass%E9.png" for i in images), images'

folder=$(printf 'caf\351')
mkdir -p "$folder/$folder/train/good" "$folder/$folder/test/good" "$folder/$folder/test/bad"
cp own/train/*.png "$folder/$folder/train/good"
cp own/good/1.png "$folder/$folder/test/good"
cp own/test/bad/x.jpg "$folder/$folder/test/bad"
works "a root and a category that are no UTF-8 are read" "$build/unsupervised" --dataset mvtec_ad \
    --root "$folder" --set-dataset missing_mask=skip --set resize=32 --set crop=0 --json foreign.json
works "and are in the record, beside all the rest" python3 -c '
import json
record = json.load(open("foreign.json"))
assert record["run"]["dataset_root_percent"] == "caf%E9", record["run"]
assert record["categories"][0]["category_percent"] == "caf%E9", record["categories"]
assert record["categories"][0]["images"][0]["path_percent"].startswith("caf%E9/test/"), record'

# ---- man pages ----
# where help2man is there to make them; it splits a path at its spaces
mkdir "a folder"
ln -s "$build/imiad-compare" "a folder/imiad-compare"
! command -v help2man >/dev/null || works "a man page is made in a folder with a space in its name" sh -c '
    "$IMIAD_SOURCE/examples/man_page.sh" "a folder/imiad-compare" "a folder/page.1" 1.0 "lays results beside" &&
    grep -q "lays results beside" "a folder/page.1"'

# ---- completion ----
cat >complete.bash <<'BASH'
_init_completion() {
    words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
}
. "$IMIAD_SOURCE/examples/imiad.bash"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_imiad "$1"
printf '%s\n' "${COMPREPLY[@]}"
BASH
completes() { # WORD...: what the last one may become
    PATH=$build:$PATH bash complete.bash "$@" >"$scratch/completed"
}
completes imiad ""
for program in inspect benchmark export_dataset; do
    works "imiad completes to $program" grep -qx "$program" "$scratch/completed"
done
completes imiad benchmark ""
for command in $("$build/imiad-benchmark" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    works "imiad benchmark completes to $command" grep -qx "$command" "$scratch/completed"
done
completes imiad-inspect --wat
works "options come from the help" grep -qx -- --watch "$scratch/completed"

# ---- little memory ----
# libtorch's start ends in an abort within a range of limits, which differs from version to version
starts() {
    for limit in $(seq 440000 12000 620000); do
        status=0
        (ulimit -c 0; ulimit -v "$limit"; "$torch_starts") >"$scratch/output" 2>&1 || status=$?
        case $status in 0 | 2) ;; *) return 1 ;; esac
    done
}
# a sanitizer reserves more than any limit
nm "$build/imiad-inspect" 2>/dev/null | grep -q __asan_init ||
    works "no limit of memory ends a program's start in an abort" starts
finish example-programs
