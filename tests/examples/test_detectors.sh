#!/bin/sh
# Every detector in every setting, and saved for another process, on drawn images and a network with
# random weights: what the two could tell apart is not asked, only that no cell stays empty. Prints
# the table as Markdown.
. "$IMIAD_SOURCE/tests/script.sh"
programs=$1
drawn="size=64 train=6 test_good=4 test_defective=4"
tiny="$(printf -- '--set-dataset %s ' $drawn) --set resize=64 --set crop=64"
settings="unsupervised supervised fewshot noisy continual transfer"
supervised_only="bgad devnet" # these learn from labelled anomalies or not at all
detectors=$("$programs/unsupervised" --list-detectors | cut -d' ' -f1)

# What makes the run short or its setting small: options of the program, or of the detector.
setting_options() {
    case $1 in
    supervised)
        echo "--category fabric --anomalies 1"
        ! needs_anomalies "$detector" || echo "--save $scratch/$detector"
        ;;
    fewshot) echo "--category fabric --shots 1" ;; # one image: the hardest
    noisy) echo "--category fabric --ratio 0.2" ;;
    continual) echo "--category fabric --category hex_nut" ;;
    transfer) echo "--source fabric --category hex_nut --shots 2" ;;
    *) echo "--category fabric --save $scratch/$detector" ;;
    esac
}
needs_anomalies() {
    case " $supervised_only " in *" $1 "*) true ;; *) false ;; esac
}
detector_options() {
    for option in epochs=2 steps=2 reconstruction_width=4 discrimination_width=4 hidden=8 \
        coupling_layers=2 width=8 supports=2 attention_blocks=1; do
        "$programs/unsupervised" --describe "$1" | grep -q "^ *${option%=*} " && echo "--set $option"
    done
}

cat >"$scratch/table.py" <<'PY'
import json, math, sys
scratch, (detectors, settings, supervised) = sys.argv[1], (text.split() for text in sys.argv[2:])


def auroc(detector, setting):
    d = json.load(open(f"{scratch}/{detector}.{setting}.json"))
    if setting == "continual":
        return d["sequences"][0]["average"]["image_auroc"]
    if setting == "transfer":
        return d["categories"][-1]["image_auroc"]
    return d["averages"][0]["image_auroc"]


print("| |", " | ".join(settings), "|\n|" + "---|" * (len(settings) + 1))
for detector in detectors:
    row = ["refused" if detector in supervised and setting != "supervised"
           else f"{auroc(detector, setting):.3f}" for setting in settings]
    assert all(cell == "refused" or 0 <= float(cell) <= 1 for cell in row), row
    print("|", detector, "|", " | ".join(row), "|")
PY

cat >"$scratch/rescore.py" <<'PY'
import json, struct, subprocess, sys
program, scratch, detector, setting = sys.argv[1:]
images = json.load(open(f"{scratch}/{detector}.{setting}.json"))["categories"][0]["images"]
for image in images[:3]:
    text = subprocess.check_output([program, f"{scratch}/{detector}/fabric.imiad",
                                    f"{scratch}/drawn/{image['path']}", f"{scratch}/map.png"])
    alone, before = (struct.pack("f", float(x)) for x in (text, image["score"]))
    assert alone == before, (image["path"], text, image["score"])
PY
"$programs/export_dataset" "$scratch/drawn" $drawn categories=fabric >"$scratch/output"

for detector in $detectors; do
    saved=unsupervised
    ! needs_anomalies "$detector" || saved=supervised
    for setting in $settings; do
        run="$programs/$setting --detector $detector $tiny $(setting_options "$setting")
            $(detector_options "$detector") --json $scratch/$detector.$setting.json"
        if [ $saved = supervised ] && [ "$setting" != supervised ]; then
            says "$detector without labelled anomalies, $setting" "use the setting supervised" $run
        else
            works "$detector runs $setting" $run
        fi
    done
    works "a saved $detector scores the same bytes in another process" \
        python3 "$scratch/rescore.py" "$programs/score_image" "$scratch" "$detector" $saved
done
works "no cell is empty" \
    python3 "$scratch/table.py" "$scratch" "$detectors" "$settings" "$supervised_only"
cat "$scratch/output"
finish every-detector
