#!/bin/sh
# The inspection station: learns, keeps its threshold, says verdicts, scores and regions as JSON.
. "$IMIAD_SOURCE/tests/script.sh"
inspect=$(realpath "$1") export_dataset=$2
drawn() { python3 "$IMIAD_SOURCE/tests/examples/drawn.py" "$@"; }
small="resize=64 coreset_ratio=0.05"

# gives STATEMENT CODE COMMAND...: the exit status; output is left in $scratch/lines and $scratch/said
gives() {
    statement=$1 code=$2
    shift 2
    status=0
    "$@" >"$scratch/lines" 2>"$scratch/said" || status=$?
    if [ "$status" -eq "$code" ]; then pass; else
        cp "$scratch/said" "$scratch/output"
        flunk "$statement: exit status $status, not $code"
    fi
}
# has STATEMENT TEXT FILE, lacks STATEMENT TEXT FILE
has() { if grep -qF -- "$2" "$3"; then pass; else cp "$3" "$scratch/output"; flunk "$1"; fi; }
lacks() { if grep -qF -- "$2" "$3"; then cp "$3" "$scratch/output"; flunk "$1"; else pass; fi; }

# ---- learning ----
works "a dataset on disk" "$export_dataset" "$scratch/data" size=64 train=26 test_good=2 \
    test_defective=4 categories=hex_nut
parts=$scratch/data/hex_nut
gives "the station learns good parts" 0 "$inspect" learn "$parts" "$scratch/nut.imiad" $small
has "and reports what it learned" "21 learned, threshold" "$scratch/lines"
has "from what, and how it does on the test images beside them" "from 5 held out," "$scratch/lines"
has "with the good that it calls bad" "of 2 good called bad" "$scratch/lines"
has "and the bad that it finds" "of 4 bad found" "$scratch/lines"
has "it shows how far it is" "looking" "$scratch/said"
has "random weights are told" "WARNING: the network resnet18 has random weights" "$scratch/said"
has "and so is a threshold from few images" "WARNING: the threshold comes from 5 images" "$scratch/said"
cat >"$scratch/record.py" <<'PY'
import json, sys
record = json.load(open(sys.argv[1]))
codes = {w["code"] for w in record["warnings"]}
assert {"random_weights", "few_held_out"} <= codes, codes
assert record["learned"] == 21 and record["held_out"] == 5 and record["test"]["bad"] == 4
assert record["options"]["crop"] == "0" and record["options"]["resize_mode"] == "squash"
assert record["thresholds"]["tile_side"] == 0 and "learn" in record["command"]
assert record["images"]["width"] == [64, 64]
PY
works "all of that is in the record" python3 "$scratch/record.py" "$scratch/nut.imiad.json"
gives "a network of narrow layers is learned" 0 "$inspect" learn "$parts" "$scratch/lite.imiad" $small \
    --backbone efficientnet_lite0 --detector patchcore layers=layer2
works "whose channels are kept as they are" grep -q '"pretrain_embed_dimension": "0"' "$scratch/lite.imiad.json"
gives "unless somebody says otherwise" 0 "$inspect" learn "$parts" "$scratch/lite.imiad" $small \
    --backbone efficientnet_lite0 --detector patchcore layers=layer2 target_embed_dimension=24
works "which is kept to" grep -q '"pretrain_embed_dimension": "1024"' "$scratch/lite.imiad.json"
gives "detector, backbone, device, seed and options of all kinds are taken" 0 "$inspect" learn "$parts" "$scratch/padim.imiad" \
    --detector padim --backbone resnet18 --device cpu --precision float32 --seed 3 --quantile 0.9 --share 0.5 \
    crop=48 resize=64 missing_mask=skip layers=layer1,layer2
has "half of the good images chose the threshold" "13 learned, threshold" "$scratch/lines"
has "a border that is cut off is told" "at their border is not looked at" "$scratch/said"
gives "inspecting with that detector tells it as well" 1 sh -c "'$inspect' '$scratch/padim.imiad' '$parts/test' || test \$? -le 1 && exit 1"
has "in every line" '"border"' "$scratch/lines"

gives "a setting draws what is learned" 0 "$inspect" learn "$parts" "$scratch/few.imiad" resize=64 --setting fewshot shots=4
has "which is what the report counts" "few.imiad: 4 learned, threshold" "$scratch/lines"
works "and the record" grep -q '"learned": 4,' "$scratch/few.imiad.json"
gives "a report that nobody can read is a failure" 2 sh -c "'$inspect' learn '$parts' '$scratch/few.imiad' resize=64 --setting fewshot shots=2 >/dev/full"
gives "and so is what a check says" 2 sh -c "'$inspect' check '$parts' >/dev/full"

# ---- the whole image ----
mkdir -p "$scratch/plain/train/good" "$scratch/plain/test/good" "$scratch/plain/test/bar"
for i in $(seq 24); do drawn rgb 64 64 "$i" "$scratch/plain/train/good/$i.png"; done
for i in 1 2 3; do drawn rgb 64 64 "g$i" "$scratch/plain/test/good/$i.png"; done
drawn rgb 64 64 g1 "$scratch/plain/test/bar/1.png" bar
gives "parts are learned whole" 0 "$inspect" learn "$scratch/plain" "$scratch/plain.imiad" $small
has "a bar at the very border is found" "1 of 1 bad found" "$scratch/lines"
gives "it is anomalous when it is inspected, which the exit status says" 1 "$inspect" "$scratch/plain.imiad" "$scratch/plain/test/bar/1.png"
gives "good parts alone give 0" 0 "$inspect" "$scratch/plain.imiad" "$scratch/plain/train/good/1.png" "$scratch/plain/train/good/2.png" --sensitivity low

# ---- lines ----
defect=$(find "$parts/test" -mindepth 1 -maxdepth 1 -type d ! -name good | sort | head -n 1)
inspects() { "$inspect" "$scratch/nut.imiad" "$@" >"$scratch/lines" 2>"$scratch/said" || [ $? -le 1 ]; }
works "it inspects a folder and a file" inspects "$defect" "$parts/test/good/000.png" --pictures "$scratch/pictures"
cat >"$scratch/check.py" <<'PY'
import json, os, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert len(lines) == int(sys.argv[2]), lines
for line in lines:
    assert 0 <= line["calibrated"] <= 1 and line["anomalous"] == (line["score"] > line["threshold"]), line
    assert line["anomalous"] == (len(line["regions"]) > 0), line
    assert "random_weights" in line["warnings"]
    for region in line["regions"]:
        left, top, width, height = region["box"]
        assert 0 <= left and left + width <= 64 and 0 <= top and top + height <= 64
        assert 0 < region["area"] <= width * height
        xs, ys = zip(*region["contour"])
        assert [min(xs), min(ys), max(xs), max(ys)] == [left, top, left + width, top + height]
        assert left <= region["at"][0] < left + width and top <= region["at"][1] < top + height
PY
defects=$(find "$defect" -name '*.png' | wc -l)
works "a line an image; what is anomalous has regions, what is OK has none" python3 "$scratch/check.py" "$scratch/lines" $((defects + 1))
works "a picture an image, also where two have one name" test "$(find "$scratch/pictures" -name "*.png" | wc -l)" -eq $((defects + 1))
count() { grep -o '"anomalous":true' "$scratch/lines" | wc -l; }
works "it inspects a folder with all that is below it, at low sensitivity" inspects "$parts/test" --sensitivity low
low=$(count)
works "all six images" test "$(wc -l <"$scratch/lines")" -eq 6
works "and at high" inspects "$parts/test" --sensitivity high
works "where no fewer are anomalous" test "$(count)" -ge "$low"
works "one rule there, too: regions where it is anomalous" python3 "$scratch/check.py" "$scratch/lines" 6

# ---- what goes wrong leaves a line ----
mkdir "$scratch/odd" "$scratch/odd/below"
cp "$parts/test/good/000.png" "$scratch/odd/a.png"
drawn rgb 64 64 1 "$scratch/odd/broken.png" half
echo text >"$scratch/odd/scan.tif"
echo text >"$scratch/odd/notes.txt"
cp "$parts/test/good/001.png" "$scratch/odd/below/$(printf 'cass\351 "x"').png"
gives "something that could not be inspected gives 2" 2 "$inspect" "$scratch/nut.imiad" "$scratch/odd" --pictures "$scratch/odd pictures"
cat >"$scratch/odd.py" <<'PY'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
by = {line.get("image_percent", line["image"]).rsplit("/", 1)[1]: line for line in lines}
assert set(by) == {"a.png", "broken.png", "scan.tif", "cass%E9%20%22x%22.png"}, by
assert "error" in by["broken.png"] and "error" in by["scan.tif"] and "score" in by["a.png"]
odd = by["cass%E9%20%22x%22.png"]
assert odd["image"].endswith('/cass\ufffd "x".png') and odd["score"] > 0
PY
has "the numbers end it" "inspect: 4 inspected, " "$scratch/said"
has "with those of failures" " 2 could not be inspected" "$scratch/said"
works "a line for each, whatever bytes are in its name" python3 "$scratch/odd.py" "$scratch/lines"
has "what is no image by its name is told" "left out: $scratch/odd/notes.txt" "$scratch/said"
gives "an image that is none" 2 "$inspect" "$scratch/nut.imiad" "$scratch/000.png"
has "has a line" '"error":' "$scratch/lines"
mkdir "$scratch/nothing"
gives "a folder without images gives 2" 2 "$inspect" "$scratch/nut.imiad" "$scratch/nothing"
has "and a line that says so" "there are no images in this folder" "$scratch/lines"
gives "nothing is said to be OK when nobody can read it" 2 sh -c "'$inspect' '$scratch/nut.imiad' '$parts/test/good' >/dev/full"
has "standard output is looked after" "cannot write to standard output" "$scratch/said"

# ---- lists ----
list() { "$inspect" "$scratch/nut.imiad" "$@" >"$scratch/lines" 2>"$scratch/said"; }
find "$parts/test/good" -name '*.png' | list - || true
works "paths come from standard input" test "$(grep -c '"score"' "$scratch/lines")" -eq 2
find "$scratch/odd/below" "$parts/test/good" -name '*.png' -print0 | list --null - || true
works "or with NUL bytes between them" test "$(grep -c '"score"' "$scratch/lines")" -eq 3
cat >"$scratch/flushed.py" <<'PY'
import subprocess, sys
inspect, detector, image = sys.argv[1:]
station = subprocess.Popen([inspect, detector, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL)
for _ in range(2):
    station.stdin.write(image.encode() + b"\n")
    station.stdin.flush()
    assert b'"score"' in station.stdout.readline() # a pipe: it would wait for ever unless it is flushed
station.stdin.close()
assert station.wait() in (0, 1)
PY
works "a line comes when its image is done" timeout 120 python3 "$scratch/flushed.py" "$inspect" "$scratch/nut.imiad" "$parts/test/good/000.png"

# ---- pictures ----
mkdir -p "$scratch/names/a" "$scratch/names/a_b"
long=$(printf '%0249d' 0)
for name in x.png x.jpg.png a/b_c.png a_b/c.png "$long.png" "Prüfling.png"; do cp "$parts/test/good/000.png" "$scratch/names/$name"; done
cp "$parts/test/good/000.png" "$scratch/names/x.jpg"
(cd "$scratch/names" && gives "pictures of names that could be confused" 0 "$inspect" "$scratch/nut.imiad" . --sensitivity low --pictures p --sheet s.html
 echo "$passed $failed" >"$scratch/counts")
read -r passed failed <"$scratch/counts"
works "each has one of its own" test "$(find "$scratch/names/p" -name '*.png' | wc -l)" -eq 7
works "with a short name" test "$(find "$scratch/names/p" -name '*.png' -printf '%f\n' | awk '{ if (length > n) n = length } END { print n }')" -lt 230
cat >"$scratch/sheet.py" <<'PY'
import os, re, sys, urllib.parse
page = open(sys.argv[1], encoding="utf-8").read()
pictures = [urllib.parse.unquote(p) for p in re.findall(r'<img[^>]* src="([^"]*)"', page)]
assert len(pictures) == int(sys.argv[2]), pictures
for picture in pictures:
    assert os.path.getsize(os.path.join(os.path.dirname(sys.argv[1]), picture)) > 1000
scores = [float(s) for s in re.findall(r"</b> ([0-9.]+) \(threshold", page)]
assert scores == sorted(scores, reverse=True) and "Prüfling.png" in page
PY
works "a page shows them, the worst first" python3 "$scratch/sheet.py" "$scratch/names/s.html" 7
gives "a page of images that could not be inspected, too" 2 "$inspect" "$scratch/nut.imiad" "$scratch/odd" --sheet "$scratch/odd.html" --worst 1
has "names them" "<li><b>$scratch/odd/broken.png</b><br>cannot decode" "$scratch/odd.html"
has "and says how many more there are" "<li>and 1 more</li>" "$scratch/odd.html"
lacks "one without such images says nothing of them" "Could not be inspected" "$scratch/names/s.html"
cat >"$scratch/colors.py" <<'PY'
import os, sys
sys.path.insert(0, os.environ["IMIAD_SOURCE"] + "/tests/examples")
import drawn
good, bad, lower = (drawn.pixels(path)[0] for path in sys.argv[1:])
def count(rows, color):
    return sum(row[x:x + 3] == bytes(color) for row in rows for x in range(0, len(row), 3))
RED, GREEN = (190, 24, 36), (18, 122, 62)
assert count(good, GREEN) > 100 and count(good, RED) == 0
assert count(bad, RED) > 100 and count(bad, GREEN) == 0
# right of the two images: the colours and their numbers, the mark of the threshold among them
assert len(good) == len(bad) and all(a[-180:] == b[-180:] for a, b in zip(good[32:], bad[32:]))
# the title has the threshold of the sensitivity that was asked for
assert bad[:32] != lower[:32] and bad[32:] == lower[32:]
PY
bar=$scratch/plain/test/bar/1.png
for sensitivity in low high; do
    "$inspect" "$scratch/plain.imiad" "$scratch/plain/train/good/2.png" "$bar" --sensitivity $sensitivity \
        --pictures "$scratch/$sensitivity" >/dev/null 2>&1 || true
done
works "pictures say the verdict, score and threshold, in colours that mean the same in all of them" \
    python3 "$scratch/colors.py" "$scratch"/low/*good_2*.png "$scratch"/low/*bar_1*.png "$scratch"/high/*bar_1*.png
gives "the page has as many as are asked for" 0 "$inspect" "$scratch/nut.imiad" "$scratch/names/x.png" "$scratch/names/Prüfling.png" --sensitivity low \
    --sheet "$scratch/one.html" --worst 1
works "with its pictures beside it" test -d "$scratch/one_pictures"

# ---- tiles ----
says "a threshold of whole images is not used on tiles" "learn it with --tiles 64" "$inspect" "$scratch/nut.imiad" "$parts/test/good/000.png" --tiles 64
mkdir -p "$scratch/wide/train/good" "$scratch/wide/test/good"
for i in $(seq 6); do drawn gray 128 64 "$i" "$scratch/wide/train/good/$i.png"; done
drawn gray 128 64 t "$scratch/wide/test/good/t.png"
gives "tiles are learned and calibrated as tiles" 0 "$inspect" learn "$scratch/wide" "$scratch/wide.imiad" --tiles 64 --overlap 0 resize=32 train_defective=
works "their side is in the record" grep -q '"tile_side": 64' "$scratch/wide.imiad.json"
gives "and used when images are inspected" 0 "$inspect" "$scratch/wide.imiad" "$scratch/wide/test/good" --sensitivity low --tiles 64
says "another side is refused" "was learned on tiles of 64 pixels" "$inspect" "$scratch/wide.imiad" "$scratch/wide/test/good" --tiles 32
says "tiles with a crop are refused" "exclude each other" "$inspect" learn "$scratch/wide" "$scratch/x" --tiles 64 crop=32
says "an image smaller than a tile is named" "smaller than a tile of 200" "$inspect" learn "$scratch/wide" "$scratch/x" --tiles 200

# ---- layouts ----
mkdir "$scratch/mine"
cp -r "$parts/train/good" "$scratch/mine/fine"
cp -r "$parts/test/good" "$scratch/mine/shipped"
gives "it learns from folders of any names" 0 "$inspect" learn "$scratch/mine" "$scratch/mine.imiad" \
    'train=fine/*' 'test_good=shipped/*' 'test_defective=bent/*;{kind}/*.bmp' $small
has "a pattern that nothing fits is told" "fits test_defective=bent/*" "$scratch/said"
has "each of several" "fits test_defective={kind}/*.bmp" "$scratch/said"
rm -r "$scratch/mine/shipped"
works "and from good parts alone" "$inspect" learn "$scratch/mine" "$scratch/mine.imiad" 'train=fine/*' $small

# ---- mistakes ----
says "a layout that nothing fits is told" "fits train=train/good/*" "$inspect" learn "$scratch/mine" "$scratch/x"
says "and so is a word that is no option" "usage" "$inspect" learn "$parts" "$scratch/x" train=a "fine/*"
says "an option that nobody has" "\"tuch\" is an option of neither" "$inspect" learn "$parts" "$scratch/x" tuch=1
says "default weights that set-up did not fetch" "there is no file $scratch/w.pth" \
    env IMIAD_WEIGHTS="$scratch/w.pth" "$inspect" learn "$parts" "$scratch/x" --weights default
says "an unknown detector" "pathcore" "$inspect" learn "$parts" "$scratch/x" --detector pathcore
says "a detector that is not there is told" "no such" "$inspect" "$scratch/no such" "$defect"
says "a wrong option is told" "usage" "$inspect" "$scratch/nut.imiad" "$defect" --sensitivity medium
for number in abc 128x 99999999999 "" 1; do
    says "--tiles takes a number that makes sense, not \"$number\"" "--tiles takes a whole number" \
        "$inspect" learn "$parts" "$scratch/x" --tiles "$number"
done
says "a file that cannot be written is told before it learns" "cannot write" "$inspect" learn "$parts" "$scratch/nowhere/x"
finish example-inspect
