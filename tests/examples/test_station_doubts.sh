#!/bin/sh
# What the station says before a verdict can be trusted, and what it finds in a folder.
. "$IMIAD_SOURCE/tests/script.sh"
inspect=$1
drawn() { python3 "$IMIAD_SOURCE/tests/examples/drawn.py" "$@"; }
tells() { if grep -qF -- "$2" "$3"; then pass; else cp "$3" "$scratch/output"; flunk "$1"; fi; }
lacks() { if grep -qF -- "$2" "$3"; then cp "$3" "$scratch/output"; flunk "$1"; else pass; fi; }
gives() {
    statement=$1 code=$2
    shift 2
    status=0
    "$@" >"$scratch/said" 2>&1 || status=$?
    if [ "$status" -eq "$code" ]; then pass; else
        cp "$scratch/said" "$scratch/output"
        flunk "$statement: exit status $status, not $code"
    fi
}
parts=$scratch/parts
mkdir -p "$parts/train/good" "$parts/test/good" "$parts/test/mark"
for i in $(seq -w 30); do drawn rgb 48 48 "$i" "$parts/train/good/$i.png"; done
drawn rgb 48 48 t "$parts/test/good/1.png"
drawn rgb 48 48 u "$parts/test/mark/1.png" bar
learns() { "$inspect" learn "$parts" "$scratch/d.imiad" resize=32 "$@"; }

# ---- a folder that is well ----
gives "a folder that is well" 0 "$inspect" check "$parts"
tells "is counted" "32 images, 0 unreadable, 0 unlisted, 0 doubtful" "$scratch/said"
gives "it is learned" 0 learns
lacks "without a word of duplicates" duplicates "$scratch/said"
lacks "or near ones" "nearly the same" "$scratch/said"

# ---- one that is not ----
cp "$parts/train/good/01.png" "$parts/train/good/copy.png"
drawn rgb 96 96 01 "$parts/train/good/odd size.png"
drawn gray 48 48 02 "$parts/train/good/gray.png"
drawn rgb 48 48 03 "$parts/train/good/flat.png" flat
drawn rgb 48 48 04 "$parts/train/good/black.png" black
drawn gray 48 48 05 "$parts/train/good/sixteen.png" sixteen
drawn gray 48 48 06 "$parts/train/good/twelve.png" twelve
gives "doubtful images alone give 1" 1 "$inspect" check "$parts"
tells "an exact duplicate" "train/good/copy.png: it is the same image as train/good/01.png" "$scratch/said"
tells "another size" "train/good/odd size.png: it is 96 x 96, while most images are 48 x 48" "$scratch/said"
tells "a grey one" "train/good/gray.png: it is grey" "$scratch/said"
tells "an empty one" "train/good/flat.png: all its pixels are the same" "$scratch/said"
tells "a black one" "train/good/black.png: it is near black" "$scratch/said"
tells "8 bits in 16" "train/good/sixteen.png: it has 16 bits a value but the lower 8" "$scratch/said"
tells "12 bits in 16" "train/good/twelve.png: it has 16 bits a value but the lower 12" "$scratch/said"
drawn rgb 48 48 07 "$parts/train/good/Prüfling kaputt.png" half
: >"$parts/train/good/leer.jpg"
echo text >"$parts/test/good/scan.bmp"
echo text >"$parts/notes.txt"
mkdir "$parts/more" "$parts/train/good/dir.png"
cp "$parts/train/good/02.png" "$parts/more/x.png"
ln -s nowhere "$parts/test/good/link.png"
gives "unreadable ones give 2" 2 "$inspect" check "$parts" --json "$scratch/found.json"
for name in "train/good/Prüfling kaputt.png" train/good/leer.jpg test/good/scan.bmp test/good/link.png; do
    tells "$name is named, all in one run" "unreadable: $name: " "$scratch/said"
done
tells "what fits no pattern is named" "unlisted: more/x.png: it fits none of the patterns" "$scratch/said"
tells "and what is no image" "unlisted: notes.txt: it has not the name of an image" "$scratch/said"
lacks "a folder with an image's name is none" "dir.png" "$scratch/said"
cat >"$scratch/found.py" <<'PY'
import json, sys
found = json.load(open(sys.argv[1]))
assert len(found["unreadable"]) == 4 and len(found["unlisted"]) == 2, found
assert any(e["image"] == "train/good/copy.png" for e in found["doubtful"])
PY
works "as JSON too" python3 "$scratch/found.py" "$scratch/found.json"
json() { "$inspect" check "$parts" --json - 2>/dev/null >"$scratch/stdout.json" || true; }
json
works "which - writes to standard output alone" python3 "$scratch/found.py" "$scratch/stdout.json"
gives "they are not learned" 2 learns
for name in "Prüfling kaputt.png" leer.jpg scan.bmp; do
    tells "$name is named before anything is learned" "$name" "$scratch/said"
done
tells "with a way out" "--skip-broken" "$scratch/said"
gives "which works" 0 learns --skip-broken --seed 3
for code in constant near_black values_fit_8_bits values_fit_12_bits unreadable; do
    works "the record holds $code" grep -q "\"code\": \"$code\"" "$scratch/d.imiad.json"
done
tells "a warning names the images" "WARNING: 3 images, of each of which it is near black: train/good/black.png" "$scratch/said"
says "a folder that is none" "is no folder" "$inspect" check "$scratch/nowhere"
mkdir "$scratch/photos"
cp "$parts/train/good/01.png" "$scratch/photos/a.png"
gives "a folder of photographs needs no layout" 0 "$inspect" check "$scratch/photos"
tells "and is looked through" "1 images, 0 unreadable, 0 unlisted, 0 doubtful" "$scratch/said"

# ---- duplicates between what is learned and what chooses the threshold ----
mkdir -p "$scratch/twice/train/good" "$scratch/twice/kept"
for i in $(seq -w 12); do drawn rgb 48 48 "$i" "$scratch/twice/train/good/$i.png"; done
cp "$scratch/twice/train/good/03.png" "$scratch/twice/kept/a.png"
drawn rgb 48 48 kept "$scratch/twice/kept/b.png"
cat >"$scratch/brighter.py" <<'PY'
import sys, zlib, struct
sys.path.insert(0, sys.argv[1])
import drawn
data = open(sys.argv[2], "rb").read()
at, body = 8, b""
while at < len(data):
    length, kind = struct.unpack(">I4s", data[at:at + 8])
    if kind == b"IDAT":
        body += data[at + 8:at + 8 + length]
    at += 12 + length
raw = bytearray(zlib.decompress(body))
row = 48 * 3 + 1
rows = [bytes(min(255, v + (i % 97 == 0)) for i, v in enumerate(raw[y * row + 1:(y + 1) * row])) for y in range(48)]
open(sys.argv[3], "wb").write(drawn.png(rows, 48, 48, 2))
PY
python3 "$scratch/brighter.py" "$IMIAD_SOURCE/tests/examples" "$scratch/twice/train/good/05.png" "$scratch/twice/kept/c.png"
gives "a folder with duplicates is learned" 0 "$inspect" learn "$scratch/twice" "$scratch/t.imiad" 'validation=kept/*' resize=32
tells "and exact ones are told" "1 of the 3 images that choose the threshold are learned as well, such as kept/a.png and train/good/03.png" "$scratch/said"
tells "and near ones" "nearly the same as learned ones, such as kept/c.png and train/good/05.png" "$scratch/said"
mkdir -p "$scratch/twice/test/good"
cp "$scratch/twice/train/good/04.png" "$scratch/twice/kept/c.png" "$scratch/twice/test/good"
drawn rgb 64 48 other "$scratch/twice/test/good/wide.png"
drawn gray 48 48 other "$scratch/twice/test/good/gray.png"
gives "one whose test images are learned, too" 0 "$inspect" learn "$scratch/twice" "$scratch/t.imiad" 'validation=kept/*' \
    'train_defective=none/*' resize=32 crop=24
tells "is told so" "1 of the 4 test images are learned as well, such as test/good/04.png and train/good/04.png: the report will be too good" "$scratch/said"
tells "of near copies as well" "1 of the 4 test images are nearly the same as learned ones, such as test/good/c.png and train/good/05.png" "$scratch/said"
for code in duplicates near_duplicates test_duplicates near_test_duplicates size channels border pattern random_weights few_held_out; do
    works "the record holds $code" grep -q "\"code\": \"$code\"" "$scratch/t.imiad.json"
done
odd=$(printf 'cass\351.png')
drawn rgb 48 48 01 "$scratch/twice/test/good/$odd" black
gives "a doubtful image whose name is no UTF-8" 0 "$inspect" learn "$scratch/twice" "$scratch/t.imiad" 'validation=kept/*' resize=32
works "is named in the record" grep -q 'near black: test/good/cass.*\.png"' "$scratch/t.imiad.json"
rm "$scratch/twice/test/good/$odd"

# ---- the same doubts when parts are inspected ----
inspects() { "$inspect" "$scratch/t.imiad" "$@" >"$scratch/said" 2>&1 || [ $? -le 1 ]; }
works "parts unlike the learned ones are inspected" inspects "$parts/train/good/odd size.png" "$parts/train/good/gray.png" "$parts/train/good/black.png"
tells "with a warning of the size" '"size"' "$scratch/said"
tells "of the channels" '"channels"' "$scratch/said"
tells "of darkness" '"near_black"' "$scratch/said"
tells "said loudly, too" "WARNING: $parts/train/good/odd size.png: its size is outside" "$scratch/said"

# ---- a camera that sees nothing ----
mkdir -p "$scratch/blind/train/good"
for i in $(seq 10); do drawn gray 48 48 "$i" "$scratch/blind/train/good/$i.png" flat; done
gives "constant scores give no threshold" 2 "$inspect" learn "$scratch/blind" "$scratch/b.imiad" resize=32
tells "and the reason is told" "no threshold can be chosen" "$scratch/said"

# ---- depth, and a range that is stated once ----
mkdir -p "$scratch/deep/train/good" "$scratch/deep/new"
for i in $(seq 20); do drawn gray 48 48 "$i" "$scratch/deep/train/good/$i.png" sixteen; done
drawn gray 48 48 a "$scratch/deep/new/good.png" sixteen
drawn gray 48 48 b "$scratch/deep/new/bad.png" sixteenbar
gives "values in the lower 8 of 16 bits are learned" 0 "$inspect" learn "$scratch/deep" "$scratch/p.imiad" resize=32 'train=train/good/*'
tells "with a word of it" "the lower 8 would hold them" "$scratch/said"
score() { "$inspect" "$1" "$2" 2>/dev/null | sed 's/.*"score":\([^,]*\),.*/\1/'; }
if [ "$(score "$scratch/p.imiad" "$scratch/deep/new/good.png")" != "$(score "$scratch/p.imiad" "$scratch/deep/new/bad.png")" ]; then
    pass
else
    flunk "images that differ in their lower bytes alone have different scores"
fi
gives "with their range" 0 "$inspect" learn "$scratch/deep" "$scratch/r.imiad" resize=32 'train=train/good/*' range=0..255
lacks "without that word" "the lower 8 would hold them" "$scratch/said"
gives "a good part" 0 "$inspect" "$scratch/r.imiad" "$scratch/deep/new/good.png"
lacks "is read in the range that was learned" near_black "$scratch/said"
gives "and so is a bad one" 1 "$inspect" "$scratch/r.imiad" "$scratch/deep/new/bad.png"
finish example-station-doubts
