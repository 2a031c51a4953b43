#!/bin/sh
# Every detector in every setting, and saved for another process, on drawn images and a network with
# random weights: what the two could tell apart is not asked, only that no cell stays empty. Prints
# the table as Markdown.
. "$IMIAD_SOURCE/tests/script.sh"
programs=$1
drawn="size=64 train=6 test_good=4 test_defective=4"
tiny="$(printf -- '--set-dataset %s ' $drawn) --set resize=64 --set crop=64"
settings="unsupervised supervised fewshot noisy continual transfer"
detectors=$("$programs/unsupervised" --list-detectors | cut -d' ' -f1)

# What makes the run short or its setting small: options of the program, or of the detector.
setting_options() {
    case $1 in
    supervised) echo "--category fabric --anomalies 1" ;;
    fewshot) echo "--category fabric --shots 1" ;; # one image: the hardest
    noisy) echo "--category fabric --ratio 0.2" ;;
    continual) echo "--category fabric --category hex_nut" ;;
    transfer) echo "--source fabric --category hex_nut --shots 2" ;;
    *) echo "--category fabric --save $scratch/$detector" ;;
    esac
}
detector_options() {
    for option in epochs=2 steps=2 reconstruction_width=4 discrimination_width=4 hidden=8; do
        "$programs/unsupervised" --describe "$1" | grep -q "^ *${option%=*} " && echo "--set $option"
    done
}

cat >"$scratch/table.py" <<'PY'
import json, math, sys
scratch, detectors, settings = sys.argv[1], sys.argv[2].split(), sys.argv[3].split()


def auroc(detector, setting):
    d = json.load(open(f"{scratch}/{detector}.{setting}.json"))
    if setting == "continual":
        return d["sequences"][0]["average"]["image_auroc"]
    if setting == "transfer":
        return d["categories"][-1]["image_auroc"]
    return d["averages"][0]["image_auroc"]


print("| |", " | ".join(settings), "|\n|" + "---|" * (len(settings) + 1))
for detector in detectors:
    row = [auroc(detector, setting) for setting in settings]
    assert all(0 <= value <= 1 for value in row), row
    print("|", detector, "|", " | ".join(f"{value:.3f}" for value in row), "|")
PY

cat >"$scratch/rescore.py" <<'PY'
import json, struct, subprocess, sys
program, scratch, detector = sys.argv[1:]
images = json.load(open(f"{scratch}/{detector}.unsupervised.json"))["categories"][0]["images"]
for image in images[:3]:
    text = subprocess.check_output([program, f"{scratch}/{detector}/fabric.imiad",
                                    f"{scratch}/drawn/{image['path']}", f"{scratch}/map.png"])
    alone, before = (struct.pack("f", float(x)) for x in (text, image["score"]))
    assert alone == before, (image["path"], text, image["score"])
PY
"$programs/export_dataset" "$scratch/drawn" $drawn categories=fabric >"$scratch/output"

for detector in $detectors; do
    for setting in $settings; do
        works "$detector runs $setting" "$programs/$setting" --detector "$detector" $tiny \
            $(setting_options "$setting") $(detector_options "$detector") \
            --json "$scratch/$detector.$setting.json"
    done
    works "a saved $detector scores the same bytes in another process" \
        python3 "$scratch/rescore.py" "$programs/score_image" "$scratch" "$detector"
done
works "no cell is empty" python3 "$scratch/table.py" "$scratch" "$detectors" "$settings"
cat "$scratch/output"
finish every-detector
