#!/bin/sh
# The program as a person meets it: what it writes, and what it says to bad input.
. "$IMIAD_SOURCE/tests/script.sh"
program=$1
tiny="--set-dataset size=64 --set-dataset train=4 --set-dataset test_good=3
      --set-dataset test_defective=3 --set resize=64 --set crop=64"
run() { "$program" $tiny "$@"; }

category=$("$program" --set-dataset train=1 --list-datasets | grep -q synthetic && echo fabric)

# ---- what it writes ----
works "it runs on the data that the library draws" \
    run --json "$scratch/r.json" --maps "$scratch/maps" --save "$scratch/saved"
cp "$scratch/output" "$scratch/table"
works "the table names every category and the average" grep -q '^average ' "$scratch/table"
works "random weights are called random" grep -q 'random weights, seed 0' "$scratch/table"
cat >"$scratch/check.py" <<'PY'
import json, os, sys
folder = sys.argv[1]
d = json.load(open(folder + "/r.json"))
for key in ("libimiad_version libtorch_version dataset dataset_digest detector options backbone weights "
            "weights_digest seed device precision threads").split():
    assert key in d["run"], key
assert d["run"]["options"]["coreset_ratio"] == "0.1"
assert len(d["categories"]) >= 3
for c in d["categories"]:
    for key in ("image_auroc image_ap image_f1max pixel_auroc pixel_ap pixel_f1max aupro fit_seconds "
                "images_per_second peak_rss_bytes").split():
        assert isinstance(c[key], (int, float)), key
    for key in "decode resize backbone score map".split():
        assert c["seconds_per_image"][key] >= 0
    assert len(c["images"]) == c["test_images"]
    assert {i["label"] for i in c["images"]} == {0, 1}
    # the metric in the file is the metric of the scores in the file
    good = [i["score"] for i in c["images"] if i["label"] == 0]
    bad = [i["score"] for i in c["images"] if i["label"] == 1]
    auroc = sum((b > g) + 0.5 * (b == g) for b in bad for g in good) / len(good) / len(bad)
    assert abs(auroc - c["image_auroc"]) < 1e-12
    assert len(os.listdir(folder + "/maps/" + c["category"])) == c["test_images"]
    assert os.path.getsize(folder + "/saved/" + c["category"] + ".imiad") > 0
mean = sum(c["image_auroc"] for c in d["categories"]) / len(d["categories"])
assert abs(mean - d["averages"][0]["image_auroc"]) < 1e-12
PY
works "the record holds what it promises" python3 "$scratch/check.py" "$scratch"
works "one category can be asked for" run --category "$category" --json "$scratch/one.json"
works "the same run gives the same scores" run --category "$category" --json "$scratch/two.json"
cat >"$scratch/same.py" <<'PY'
import json, sys
a, b = (json.load(open(p))["categories"][0]["images"] for p in sys.argv[1:3])
sys.exit(a != b)
PY
works "scores repeat exactly" python3 "$scratch/same.py" "$scratch/one.json" "$scratch/two.json"
works "lists, descriptions, help and version" sh -c "
    '$program' --list-datasets | grep -q mvtec_ad && '$program' --list-detectors | grep -q patchcore &&
    '$program' --describe patchcore | grep -q coreset_ratio &&
    '$program' --describe mvtec_ad | grep -q missing_mask && '$program' --help | grep -q precision &&
    '$program' --version | grep -q libtorch"

# ---- outputs that are asked for when their cell is finished ----
works "a cell goes into a store" run --category "$category" --results "$scratch/s.sqlite"
works "its outputs are asked for later" run --category "$category" --results "$scratch/s.sqlite" \
    --maps "$scratch/later" --save "$scratch/later" --json "$scratch/later.json"
works "and made: a picture an image, the detector, each image's score" python3 -c "
import json, os
cell = json.load(open('$scratch/later.json'))['categories'][0]
assert cell['images'] == json.load(open('$scratch/one.json'))['categories'][0]['images']
assert len(os.listdir('$scratch/later/$category')) == len(cell['images']) == cell['test_images']
assert os.path.getsize('$scratch/later/$category.imiad') > 0"

# ---- what is doubtful ----
mkdir -p "$scratch/own/good" "$scratch/own/bad"
cp "$scratch/maps/$category"/*.png "$scratch/own/good"
cp "$scratch/maps/$category"/*0.png "$scratch/own/bad"
own() {
    "$program" --dataset folder --root "$scratch/own" --set-dataset 'train=good/*' --set-dataset test_good= \
        --set-dataset 'test_defective=bad/*' --set-dataset 'masks=masken/{stem}.png' --set resize=64 --set crop=64
}
warned() { own 2>&1 >/dev/null | grep -c '^warning: .*fits masks=masken'; }
works "a pattern that fits nothing is warned of, once" sh -c '[ "$1" = 1 ]' sh "$(warned)"

# ---- bad input ----
says "a missing root" "$scratch/nowhere" "$program" --dataset mvtec_ad --root "$scratch/nowhere"
says "no root at all" "needs the folder" "$program" --dataset mvtec_ad
says "an unknown dataset" "no dataset is named \"mvtec\"" "$program" --dataset mvtec
says "an unknown category" "no category \"bottel\"" run --category bottel
says "an unknown detector" "no detector is named \"patchcor\"" run --detector patchcor
says "an unknown backbone" "no backbone is named \"resnet19\"" run --backbone resnet19
says "an unknown option of the detector" "coreset_ration" run --set coreset_ration=0.1
says "an option out of range" "coreset_ratio is \"2\": it must be in 0<..1" run --set coreset_ratio=2
says "a setting without value" "coreset_ratio" run --set coreset_ratio
says "an unknown option of the program" "--help lists the options" run --datasets x
says "a stray word" "bottle" run bottle
says "a seed that is no number" "12x" run --seed 12x
says "an unknown device" "cuda:7" run --device cuda:7
says "an unknown precision" "float8" run --precision float8
says "default weights that set-up did not fetch" "sh examples/quickstart.sh" \
    env IMIAD_WEIGHTS="$scratch/nowhere.pth" "$program" --weights default
says "missing weights" "$scratch/w.pth" run --weights "$scratch/w.pth"
printf 'x' >"$scratch/file"
says "a weight file of one byte" "$scratch/file" run --weights "$scratch/file"
says "a maps folder below a file" "$scratch/file/maps" run --maps "$scratch/file/maps"
says "a record below a file" "$scratch/file/r.json" run --json "$scratch/file/r.json"

# a category that cannot be read loses nothing of the others
mkdir -p "$scratch/mvtec"
works "the drawn images can be exported" "$2" "$scratch/mvtec" size=64 train=4 test_good=3 \
    test_defective=3
first=$(ls "$scratch/mvtec" | head -n 1)
broken=$(ls "$scratch/mvtec/$first/test/good/"*.png | head -n 1)
head -c 200 "$broken" >"$scratch/cut" && mv "$scratch/cut" "$broken"
says "a truncated image" "$broken" "$program" --dataset mvtec_ad --root "$scratch/mvtec" \
    --set resize=64 --set crop=64 --json "$scratch/rest.json"
works "the other categories are in the record" python3 -c "
import json; assert len(json.load(open('$scratch/rest.json'))['categories']) >= 2"

finish example-unsupervised
