#!/bin/sh
# One detector in every setting, and saved for another process, on drawn images and a network with
# random weights: what it could tell apart is not asked, only that it runs and gives figures. Prints
# its row of the table of detectors and settings.
#
# A program takes longer to start than to run here: none is started twice for what once tells.
#
# usage: test_detector_settings.sh PROGRAMS DETECTOR OPTIONS SCORE_DRAWN
#        OPTIONS: what every_option printed
. "$IMIAD_SOURCE/tests/script.sh"
programs=$1 detector=$2 options=$3 score_drawn=$4
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
has() { grep -q "^$detector $1" "$options"; }
for option in epochs=2 steps=2 distil_steps=2 distil_batch=2 reconstruction_width=4 discrimination_width=4 hidden=8 \
    coupling_layers=2 width=8 patches=33 supports=2 attention_blocks=1 feedforward=16 encoder_layers=1 \
    decoder_layers=1 pretrain_embed_dimension=32 target_embed_dimension=32; do
    ! has "${option%=*} " || tiny="$tiny --set $option"
done

# these look at a transformer only; two of its blocks
case $detector in dinomaly)
    tiny="$tiny --backbone dinov2_vits14 --set layers=blocks.0,blocks.1"
    ;;
esac

# half of a network that is whole otherwise
! has 'layer layer4$' || tiny="$tiny --set layer=layer2"

# The figure of each setting that ran; then both scores of two images, alone and as they were.
cat >"$scratch/figures.py" <<'PY'
import json, struct, subprocess, sys
detector, scratch, saved, *score = sys.argv[1:]


def figure(setting, d):
    if setting == "continual":
        return d["sequences"][0]["average"]["image_auroc"]
    if setting == "transfer":
        return d["categories"][-1]["image_auroc"]
    return d["averages"][0]["image_auroc"]


everywhere = "unsupervised supervised fewshot noisy continual transfer".split()
for setting in [saved] if saved == "supervised" else everywhere:
    auroc = figure(setting, json.load(open(f"{scratch}/{setting}.json")))
    if 0 <= auroc <= 1:
        print(f"{detector} | {setting} | {auroc:.3f}")
images = json.load(open(f"{scratch}/{saved}.json"))["categories"][0]["images"]
images = [images[0], images[-1]]
alone = subprocess.check_output([*score, *[i["path"] for i in images]], text=True).split()
assert len(alone) == 2
for image, text in zip(images, alone):
    if struct.pack("f", float(text)) == struct.pack("f", image["score"]):
        print("again", image["path"])
PY

for setting in unsupervised supervised fewshot noisy continual transfer; do
    run="$programs/$setting --detector $detector $tiny $(setting_options "$setting")
        --json $scratch/$setting.json"
    [ $setting != $saved ] || run="$run --save $scratch/saved"
    if [ $saved = supervised ] && [ $setting != supervised ]; then
        says "$detector without labelled anomalies, $setting" "use the setting supervised" $run
        continue
    fi
    works "$detector runs $setting" $run
done
python3 "$scratch/figures.py" "$detector" "$scratch" $saved \
    "$score_drawn" "$scratch/saved/fabric.imiad" $drawn categories=fabric >"$scratch/figures"
cat "$scratch/figures"
for setting in unsupervised supervised fewshot noisy continual transfer; do
    [ $saved = supervised ] && [ $setting != supervised ] ||
        works "$detector gives a figure in $setting" grep -q "^$detector | $setting | " "$scratch/figures"
done
works "a saved $detector scores the same bytes in another process" \
    test "$(grep -c '^again ' "$scratch/figures")" -eq 2
finish "settings-$detector"
