#!/bin/sh
# The programs of the other settings as a person meets them, and a grid that is killed and goes on.
. "$IMIAD_SOURCE/tests/script.sh"
programs=$1
tiny="--set-dataset size=64 --set-dataset train=6 --set-dataset test_good=4
      --set-dataset test_defective=4 --set resize=64 --set crop=64"
two="--category fabric --category hex_nut"
run() { program=$1; shift; "$programs/$program" $tiny "$@"; }

cat >"$scratch/check.py" <<'PY'
import json, math, sys
kind, path = sys.argv[1:3]
d = json.load(open(path))
assert d["run"]["setting"] == kind, d["run"]["setting"]
if kind in ("supervised", "fewshot", "noisy"):
    values = {"supervised": ["1", "3"], "fewshot": ["1", "2", "4", "8"],
              "noisy": ["0.05", "0.1", "0.15", "0.2"]}[kind]
    assert [a["value"] for a in d["averages"]] == values
    assert len(d["categories"]) == 2 * len(values) * d["run"]["repeats"]
    for c in d["categories"]:
        assert len(c["images"]) == c["test_images"]
        drawn, test = c["drawn_images"], c["test_images"]
        if kind == "supervised":
            assert drawn == min(int(c["value"]), 3) and test == 8 - drawn
            assert c["train_images"] == 6 + drawn
        if kind == "fewshot":
            assert drawn == c["train_images"] == min(int(c["value"]), 6) and test == 8
        if kind == "noisy":
            assert drawn == int(float(c["value"]) * 6 + 1e-9) and test == 8 - drawn
    for a in d["averages"]:
        own = [c["image_auroc"] for c in d["categories"] if c["value"] == a["value"]]
        assert abs(sum(own) / len(own) - a["image_auroc"]) < 1e-12
        assert ("deviation" in a) == (d["run"]["repeats"] > 1)
if kind == "continual":
    s = d["sequences"][0]
    m = s["matrices"]["image_auroc"]
    assert [len(r) for r in m] == [1, 2]
    assert abs(sum(m[1]) / 2 - s["average"]["image_auroc"]) < 1e-12
    forgetting = m[0][0] - m[1][0]
    assert abs(forgetting - s["forgetting"]["image_auroc"]) < 1e-12
    assert abs(forgetting / 2 - s["forgetting_as_published"]["image_auroc"]) < 1e-12
    assert [c["image_auroc"] for c in s["categories"]] == m[1]
if kind == "transfer":
    assert [(c["step"], c["category"]) for c in d["categories"]] == [
        ("source", "fabric"), ("target before", "hex_nut"), ("target after", "hex_nut")]
if kind == "efficiency":
    for c in d["categories"]:
        for s in "decode preprocess backbone score map total".split():
            t = c["stages"][s]
            assert 0 <= t["percentile_5_seconds"] <= t["median_seconds"] <= t["percentile_95_seconds"]
        assert c["saved_bytes"] > 0 and c["peak_rss_bytes"] > 0
PY
check() { python3 "$scratch/check.py" "$1" "$scratch/$1.json"; }

# ---- what they write ----
works "supervised runs" run supervised $two --anomalies 1 --anomalies 3 --json "$scratch/supervised.json"
works "and takes its anomalies out of the test set" check supervised
works "fewshot runs the published shots with two seeds" \
    run fewshot $two --repeats 2 --json "$scratch/fewshot.json"
works "and says how far the seeds lie apart" check fewshot
works "noisy runs the published ratios" run noisy $two --json "$scratch/noisy.json"
works "and reports what it drew" check noisy
works "continual runs" run continual $two --json "$scratch/continual.json"
works "and its forgetting follows from its matrix" check continual
works "transfer runs" run transfer --source fabric --category hex_nut --json "$scratch/transfer.json"
works "and measures before and after" check transfer
works "efficiency runs" run efficiency $two --images 5 --warm-up 1 --json "$scratch/efficiency.json"
works "and orders its percentiles" check efficiency
works "maps can be compared at the native size" run unsupervised $two --evaluate native
works "the IM-IAD code's way of measuring can be had" \
    run unsupervised $two --compat binarise_maps --compat mask_geometry --compat aupro_sampled100
works "few shots can be augmented" \
    run fewshot $two --shots 1 --set-split augmentation=rotation

# MVTec LOCO's layout, made of a drawn category: its first kind of defect structural, the rest logical
loco() {
    "$programs/export_dataset" "$scratch/drawn" size=64 train=6 test_good=4 test_defective=4 \
        categories=fuse_box || return 1
    from=$scratch/drawn/fuse_box to=$scratch/loco/fuse_box
    mkdir -p "$to/validation/good" "$to/test/structural_anomalies" "$to/test/logical_anomalies"
    cp -r "$from/train" "$to/train"
    cp -r "$from/test/good" "$to/test/good"
    cp "$from/train/good/000.png" "$to/validation/good/000.png"
    kind=structural_anomalies number=100
    for folder in "$from"/ground_truth/*; do
        for mask in "$folder"/*.png; do
            name=$(basename "$mask" _mask.png)
            mkdir -p "$to/ground_truth/$kind/$number"
            cp "$mask" "$to/ground_truth/$kind/$number/000.png"
            cp "$from/test/$(basename "$folder")/$name.png" "$to/test/$kind/$number.png"
            number=$((number + 1))
        done
        kind=logical_anomalies
    done
    echo '[{"defect_name": "any", "pixel_value": 255, "saturation_threshold": 20,
            "relative_saturation": false}]' >"$to/defects_config.json"
}
works "LOCO's layout can be made" loco
works "and is measured at its native size" "$programs/unsupervised" --dataset mvtec_loco \
    --root "$scratch/loco" --set resize=64 --set crop=0 --json "$scratch/loco.json"
works "with saturated overlap, by kind of defect" python3 -c "
import json
d = json.load(open('$scratch/loco.json'))
assert d['run']['evaluate'] == 'native'
c, a = d['categories'][0], d['averages'][0]
for limit in ('0.01', '0.05', '0.1', '0.3', '1.0'):
    kinds = [c[kind + '_spro_' + limit] for kind in ('structural', 'logical', 'mean')]
    assert abs((kinds[0] + kinds[1]) / 2 - kinds[2]) < 1e-12 and 0 <= kinds[2] <= 1
assert a['mean_spro_0.05'] == c['mean_spro_0.05'] and 0 <= c['logical_image_auroc'] <= 1"

# ---- bad input ----
says "shots that are no number" "shots" run fewshot --shots many
says "a ratio out of range" "ratio" run noisy --ratio 7
says "an unknown option of the setting" "shotz" run fewshot --set-split shotz=1
says "an option of another program" "--help lists the options" run unsupervised --shots 1
says "an unknown way to evaluate" "--evaluate takes" run unsupervised --evaluate everywhere
says "an unknown way to agree with the reference" "--compat takes" run unsupervised --compat all
says "maps at the native size cannot be the reference's" "openiad_masks" \
    run unsupervised --category fabric --evaluate native --compat mask_geometry
says "no image to time" "no whole number from 1" run efficiency --images 0
says "a number that is none" "no whole number from 0" run efficiency --images 1 --warm-up few
says "a source that is not there" "no category \"bottle\"" run transfer --source bottle
printf 'not a database, but long enough to look into it: %0100d' 1 >"$scratch/file"
says "a store that is something else" "$scratch/file" run fewshot --results "$scratch/file"
says "a store below a file" "$scratch/file/r.sqlite" run fewshot --results "$scratch/file/r.sqlite"

# ---- a grid that is killed ten times ends as one that was left alone ----
grid() { run fewshot $two --shots 1 --shots 2 --shots 4 --repeats 2 "$@"; }
cat >"$scratch/dump.py" <<'PY'
import sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute(
    "select c.setting, c.value, c.category, c.seed, v.name, v.number from cells c join measurements v "
    "on v.cell = c.id order by 1, 2, 3, 4, 5").fetchall()
costs = ("_seconds", "_per_second", "_bytes")
for row in rows:
    if not row[4].endswith(costs):
        print(row)
PY
works "a grid runs undisturbed" grid --results "$scratch/whole.sqlite"
killed() {
    for delay in 0.2 0.9 0.4 1.3 0.7 1.1 0.3 1.6 0.5 0.8; do
        "$programs/fewshot" $tiny $two --shots 1 --shots 2 --shots 4 --repeats 2 \
            --results "$scratch/killed.sqlite" &
        pid=$!
        sleep "$delay"
        kill -9 "$pid" 2>/dev/null
        wait "$pid"
    done
    true
}
works "the same grid is killed ten times" killed
works "and started once more" grid --results "$scratch/killed.sqlite"
works "the store is that of the undisturbed run" sh -c "
    python3 '$scratch/dump.py' '$scratch/whole.sqlite' >'$scratch/whole.txt' &&
    python3 '$scratch/dump.py' '$scratch/killed.sqlite' >'$scratch/killed.txt' &&
    [ -s '$scratch/whole.txt' ] && cmp '$scratch/whole.txt' '$scratch/killed.txt'"
finished() { # nothing is fitted again
    grid --results "$scratch/whole.sqlite" 2>&1 | tee "$scratch/again"
    ! grep -q features "$scratch/again"
}
works "what the store has is not run again" finished

# ---- a sequence of tasks that is killed after the first ends as one that was left alone ----
tasks() { run continual $two --detector stpm --set epochs=2 --threads 1 "$@"; }
works "tasks run undisturbed" tasks --save "$scratch/whole" --results "$scratch/tasks.sqlite" \
    --json "$scratch/tasks.json"
killed_after_a_task() {
    "$programs/continual" $tiny $two --detector stpm --set epochs=2 --threads 1 --save "$scratch/stopped" \
        --results "$scratch/stopped.sqlite" --json "$scratch/stopped.json" &
    pid=$!
    until [ -f "$scratch/stopped/continual.json" ] || ! kill -0 "$pid"; do sleep 0.02; done
    kill -9 "$pid"
    wait "$pid"
    true
}
works "the same tasks are killed after the first" killed_after_a_task
goes_on() {
    tasks --save "$scratch/stopped" --results "$scratch/stopped.sqlite" --json "$scratch/stopped.json" >"$scratch/again" &&
        grep -q "goes on after task 1 of 2" "$scratch/again"
}
works "and go on after it" goes_on
cat >"$scratch/equal.py" <<'PY'
import json, sys
whole, stopped = (json.load(open(path))["sequences"][0] for path in sys.argv[1:3])
for key in ("matrices", "average", "forgetting", "kept_bytes", "cell"):
    assert whole[key] == stopped[key], key
scores = [[[i["score"] for i in c["images"]] for c in s["categories"]] for s in (whole, stopped)]
assert scores[0] == scores[1] and len(whole["kept_bytes"]) == 2
PY
works "with the same figures" python3 "$scratch/equal.py" "$scratch/tasks.json" "$scratch/stopped.json"
says "what is kept of other tasks" "another sequence" run continual $two --detector padim \
    --save "$scratch/whole" --results "$scratch/tasks.sqlite"

# ---- one detector for all categories ----
together() { run unsupervised $two --together --results "$scratch/together.sqlite" --json "$scratch/together.json"; }
works "one detector learns two categories" together
cat >"$scratch/together.py" <<'PY'
import json, sys
d = json.load(open(sys.argv[1]))
assert d["run"]["together"] and [c["category"] for c in d["categories"]] == ["fabric", "hex_nut"]
assert all(len(c["images"]) == c["test_images"] == 8 for c in d["categories"])
PY
works "and each is measured" python3 "$scratch/together.py" "$scratch/together.json"
again() {
    together >"$scratch/again" 2>&1
    ! grep -q features "$scratch/again"
}
works "what the store has is not learned again" again

# ---- leave-one-out: learned once a target, and a run that is killed goes on ----
others() {
    run fewshot $two --detector regad --set epochs=1 --set train_batch=2 --set supports=1 --shots 1 --shots 2 \
        --repeats 2 --threads 1 --models "$scratch/models$1" --results "$scratch/others$1.sqlite"
}
works "RegAD is learned on the other category" others A
killed_while_learning() {
    "$programs/fewshot" $tiny $two --detector regad --set epochs=1 --set train_batch=2 --set supports=1 --shots 1 \
        --shots 2 --repeats 2 --threads 1 --models "$scratch/modelsB" --results "$scratch/othersB.sqlite" &
    pid=$!
    until [ -f "$scratch/modelsB/fabric.imiad" ] || ! kill -0 "$pid"; do sleep 0.02; done
    kill -9 "$pid"
    wait "$pid"
    cksum "$scratch/modelsB/fabric.imiad" >"$scratch/learned"
}
works "the same is killed after the first target" killed_while_learning
works "and goes on" others B
works "with what was learned before" sh -c "
    cksum '$scratch/modelsB/fabric.imiad' | cmp - '$scratch/learned' && [ -f '$scratch/modelsB/hex_nut.imiad' ]"
works "to the same store" sh -c "
    python3 '$scratch/dump.py' '$scratch/othersA.sqlite' >'$scratch/othersA.txt' &&
    python3 '$scratch/dump.py' '$scratch/othersB.sqlite' >'$scratch/othersB.txt' &&
    [ -s '$scratch/othersA.txt' ] && cmp '$scratch/othersA.txt' '$scratch/othersB.txt'"
says "a model that was learned otherwise" "was learned with epochs=1, not 2" run fewshot $two --detector regad \
    --set epochs=2 --set train_batch=2 --set supports=1 --shots 1 --models "$scratch/modelsA"
says "a detector that learns on no other category" "model" run fewshot $two --models "$scratch/modelsA" --shots 1

# ---- which detectors there are, and what they do with a new task ----
cat >"$scratch/listed.py" <<'PY'
import re, subprocess, sys
program, source = sys.argv[1:3]
nineteen = ("cfa csflow cutpaste draem fastflow favae padim patchcore rd4ad spade stpm dra devnet prn bgad "
            "semirest regad igd dne").split()


def listed(*options):
    text = subprocess.run([program, *options], check=True, capture_output=True, text=True).stdout
    return dict(re.split(r" +", line, maxsplit=1) for line in text.splitlines())


everything, tasks = listed("--list-detectors"), listed("--list-new-tasks")
assert sorted(listed("--of", "imiad", "--list-detectors")) == sorted(nineteen)
assert sorted(listed("--list-detectors", "--of", "imiad")) == sorted(nineteen)
words = {"joins": "join", "goes on": "goes on", "forgets": "replaces"}
table = re.search(r"(?:^\|.*\n)+", open(f"{source}/docs/detectors/README.md").read(), re.M)[0]
rows = re.findall(r"^\| \[`(\w+)`\]\S+ \| [^|]* \| ([^|]*) \|", table, re.M)
assert sorted(name for name, _ in rows) == sorted(everything) == sorted(tasks), set(everything) ^ {n for n, _ in rows}
for name, said in rows:
    assert words[tasks[name]] in said, (name, tasks[name], said)
PY
works "detectors, benchmark and new tasks are listed as documented" \
    python3 "$scratch/listed.py" "$programs/unsupervised" "$IMIAD_SOURCE"
says "an unknown benchmark" "--of imiad" "$programs/unsupervised" --of elsewhere --list-detectors

finish example-settings
