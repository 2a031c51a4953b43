#!/bin/sh
# The inspection station: learns, keeps its threshold, says verdicts, scores and regions as JSON.
. "$IMIAD_SOURCE/tests/script.sh"
inspect=$1 export_dataset=$2

works "a dataset on disk" "$export_dataset" "$scratch/data" size=128 train=8 test_good=2 \
    test_defective=4 categories=hex_nut
parts=$scratch/data/hex_nut
works "the station learns good parts" "$inspect" learn "$parts" "$scratch/nut.imiad"
defect=$(find "$parts/test" -mindepth 1 -maxdepth 1 -type d ! -name good | sort | head -n 1)
inspects() { "$inspect" "$scratch/nut.imiad" "$@" >"$scratch/lines"; }
works "it inspects a folder and a file" inspects "$defect" "$parts/test/good/000.png" --pictures "$scratch/pictures"
cat >"$scratch/check.py" <<'PY'
import json, os, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert len(lines) == int(sys.argv[2]), lines
for line in lines:
    assert 0 <= line["calibrated"] <= 1 and line["anomalous"] == (line["calibrated"] > 0.5), line
    for region in line["regions"]:
        left, top, width, height = region["box"]
        assert 0 <= left and left + width <= 128 and 0 <= top and top + height <= 128
        assert 0 < region["area"] <= width * height
        xs, ys = zip(*region["contour"])
        assert [min(xs), min(ys), max(xs), max(ys)] == [left, top, left + width, top + height]
        assert left <= region["at"][0] < left + width and top <= region["at"][1] < top + height
PY
defects=$(find "$defect" -name '*.png' | wc -l)
works "a line an image, with regions inside it" python3 "$scratch/check.py" "$scratch/lines" $((defects + 1))
works "a picture an image, also where two have one name" test "$(find "$scratch/pictures" -name "*.png" | wc -l)" -eq $((defects + 1))
count() { grep -o '"anomalous":true' "$scratch/lines" | wc -l; }
works "it inspects at low sensitivity" inspects "$parts/test/good" "$defect" --sensitivity low
low=$(count)
works "and at high" inspects "$parts/test/good" "$defect" --sensitivity high
works "where no fewer are anomalous" test "$(count)" -ge "$low"
works "it inspects by tiles" inspects "$parts/test/good/000.png" --tiles 64
mkdir "$scratch/nothing"
says "a folder without images is told" "no images" "$inspect" "$scratch/nut.imiad" "$scratch/nothing"
mkdir "$scratch/mine"
cp -r "$parts/train/good" "$scratch/mine/fine"
cp -r "$parts/test/good" "$scratch/mine/shipped"
works "it learns from folders of any names" "$inspect" learn "$scratch/mine" "$scratch/mine.imiad" \
    'train=fine/*' 'test_good=shipped/*'
rm -r "$scratch/mine/shipped"
works "and from good parts alone" "$inspect" learn "$scratch/mine" "$scratch/mine.imiad" 'train=fine/*'
says "a layout that nothing fits is told" "fits train=train/good/*" "$inspect" learn "$scratch/mine" "$scratch/x"
says "and so is a word that is no option" "usage" "$inspect" learn "$parts" "$scratch/x" train=a "fine/*"
says "an image that is none is told" "000.txt" "$inspect" "$scratch/nut.imiad" "$scratch/000.txt"
says "a detector without threshold is told" "no such" "$inspect" "$scratch/no such" "$defect"
says "a wrong option is told" "usage" "$inspect" "$scratch/nut.imiad" "$defect" --sensitivity medium
finish example-inspect
