#!/bin/sh
# A detector and a dataset from outside: the example plug-in, built by its own build file against an
# installation that pkg-config finds, run by the program of every protocol.
. "$IMIAD_SOURCE/tests/script.sh"
build=$1 sanitizers=$2
[ "$sanitizers" = none ] || sanitize=-fsanitize=$sanitizers
programs=$build/examples

works "the library installs" env DESTDIR="$scratch/root" meson install -C "$build" --no-rebuild --quiet
installed=$(find "$scratch/root" -name libimiad.pc | head -n 1)
export PKG_CONFIG_PATH="${installed%/*}" PKG_CONFIG_SYSROOT_DIR="$scratch/root"
cp -r "$IMIAD_SOURCE/examples/plugin" "$scratch/plugin" # out of the tree
works "the plug-in finds it" env CFLAGS="${sanitize:-}" LDFLAGS="${sanitize:-}" \
    meson setup "$scratch/plugin/build" "$scratch/plugin" -Db_lundef=false
works "and builds without a warning" ninja -C "$scratch/plugin/build"
module=$scratch/plugin/build/example.so
works "it exports nothing but its entry" sh -c "
    test \"\$(nm -D --defined-only '$module' | awk '\$2 == \"T\" { print \$3 }')\" = imiad_plugin_register"

run() {
    program=$1
    shift
    "$programs/$program" --plugin "$module" --dataset stripes --detector mean_feature --set resize=64 \
        --set crop=64 "$@"
}
lists() { run unsupervised "$1" >"$scratch/list" && grep -q "^$2 " "$scratch/list"; }
works "its detector is listed" lists --list-detectors mean_feature
works "its dataset is listed" lists --list-datasets stripes
describes() { run unsupervised --describe mean_feature >"$scratch/list" && grep -q "^epsilon.*0.01" "$scratch/list"; }
works "its options are described" describes

works "the unsupervised setting runs it" run unsupervised --json "$scratch/unsupervised.json" --save "$scratch/saved"
works "and finds the discs" python3 -c "
import json
cells = json.load(open('$scratch/unsupervised.json'))['categories']
assert [c['category'] for c in cells] == ['thin', 'wide']
assert all(c['image_auroc'] > 0.75 and c['pixel_auroc'] > 0.8 for c in cells), cells"
works "the supervised setting runs it" run supervised --anomalies 1
works "a supervised one learns from labelled defects" "$programs/supervised" --plugin "$module" \
    --dataset stripes --detector pixel_classifier --set resize=64 --set crop=64 --anomalies 2
works "the few-shot setting runs it" run fewshot --shots 2
works "the noisy setting runs it" run noisy --ratio 0.1
works "the continual setting runs it" run continual
works "the transfer setting runs it" run transfer
works "the efficiency study runs it" run efficiency --category thin

says "a plug-in is loaded once" "\"mean_feature\" is taken" run unsupervised --plugin "$module" --list-detectors
says "a file that is none is told" "cannot be loaded" "$programs/unsupervised" --plugin "$IMIAD_SOURCE/meson.build"

# the same in C++: another detector and another dataset
cp -r "$IMIAD_SOURCE/examples/plugin_cpp" "$scratch/plugin_cpp"
works "the plug-in in C++ finds the library" env CXXFLAGS="${sanitize:-}" LDFLAGS="${sanitize:-}" \
    meson setup "$scratch/plugin_cpp/build" "$scratch/plugin_cpp" -Db_lundef=false
works "and builds without a warning" ninja -C "$scratch/plugin_cpp/build"
works "the unsupervised setting runs it" "$programs/unsupervised" \
    --plugin "$scratch/plugin_cpp/build/example.so" --dataset tiles --detector pixel_range \
    --set resize=64 --set crop=64 --set margin=2 --json "$scratch/tiles.json" --save "$scratch/tiles"
works "and finds the corners" python3 -c "
import json
cell, = json.load(open('$scratch/tiles.json'))['categories']
assert cell['category'] == 'tile' and cell['image_auroc'] == 1 and cell['pixel_auroc'] > 0.95, cell"
finish plugin-outside
