#!/bin/sh
# One detector in every setting, and saved for another process, on drawn images and a network with
# random weights: what it could tell apart is not asked, only that it runs and gives figures. Prints
# its row of the table of detectors and settings.
#
# usage: test_detector_settings.sh PROGRAMS DETECTOR
. "$IMIAD_SOURCE/tests/script.sh"
programs=$1 detector=$2
drawn="size=64 train=6 test_good=4 test_defective=4"
tiny="$(printf -- '--set-dataset %s ' $drawn) --set resize=64 --set crop=64"
supervised_only="bgad devnet" # these learn from labelled anomalies or not at all
saved=unsupervised
case " $supervised_only " in *" $detector "*) saved=supervised ;; esac

# What makes the run short or its setting small: options of the program, or of the detector.
setting_options() {
    case $1 in
    supervised) echo "--category fabric --anomalies 1" ;;
    fewshot) echo "--category fabric --shots 1" ;; # one image: the hardest
    noisy) echo "--category fabric --ratio 0.2" ;;
    continual) echo "--category fabric --category hex_nut" ;;
    transfer) echo "--source fabric --category hex_nut --shots 2" ;;
    *) echo "--category fabric" ;;
    esac
}
"$programs/unsupervised" --describe "$detector" >"$scratch/schema"
for option in epochs=2 steps=2 reconstruction_width=4 discrimination_width=4 hidden=8 \
    coupling_layers=2 width=8 supports=2 attention_blocks=1 feedforward=16 encoder_layers=1 \
    decoder_layers=1 pretrain_embed_dimension=32 target_embed_dimension=32; do
    ! grep -q "^ *${option%=*} " "$scratch/schema" || tiny="$tiny --set $option"
done

# half of a network that is whole otherwise
! grep -q '^layer  *default layer4' "$scratch/schema" || tiny="$tiny --set layer=layer2"

cat >"$scratch/cell.py" <<'PY'
import json, sys
detector, setting, path = sys.argv[1:]
d = json.load(open(path))
if setting == "continual":
    auroc = d["sequences"][0]["average"]["image_auroc"]
elif setting == "transfer":
    auroc = d["categories"][-1]["image_auroc"]
else:
    auroc = d["averages"][0]["image_auroc"]
assert 0 <= auroc <= 1, auroc
print(f"{detector} | {setting} | {auroc:.3f}")
PY

cat >"$scratch/rescore.py" <<'PY'
import json, struct, subprocess, sys
program, scratch, setting = sys.argv[1:]
images = json.load(open(f"{scratch}/{setting}.json"))["categories"][0]["images"]
for image in (images[0], images[-1]):
    text = subprocess.check_output([program, f"{scratch}/saved/fabric.imiad",
                                    f"{scratch}/drawn/{image['path']}"])
    alone, before = (struct.pack("f", float(x)) for x in (text, image["score"]))
    assert alone == before, (image["path"], text, image["score"])
PY
"$programs/export_dataset" "$scratch/drawn" $drawn categories=fabric >"$scratch/output"

for setting in unsupervised supervised fewshot noisy continual transfer; do
    run="$programs/$setting --detector $detector $tiny $(setting_options "$setting")
        --json $scratch/$setting.json"
    [ $setting != $saved ] || run="$run --save $scratch/saved"
    if [ $saved = supervised ] && [ $setting != supervised ]; then
        says "$detector without labelled anomalies, $setting" "use the setting supervised" $run
        continue
    fi
    works "$detector runs $setting" $run
    works "$detector gives a figure in $setting" \
        python3 "$scratch/cell.py" "$detector" "$setting" "$scratch/$setting.json"
    cat "$scratch/output"
done
works "a saved $detector scores the same bytes in another process" \
    python3 "$scratch/rescore.py" "$programs/score_image" "$scratch" $saved
finish "settings-$detector"
