#!/bin/sh
# Sets up everything on a Debian machine and runs the unsupervised setting on the images that the
# library draws itself. Leaves results/table.txt, results/results.json and results/maps/.
set -eu
cd "$(dirname "$0")/.."
. examples/packages.sh
. examples/build_folder.sh
install_packages

if [ -f build/build.ninja ]; then # one that has tests keeps them
    prepare_build build -Dexamples=true
else # a new one needs none, nor the packages that they take
    prepare_build build -Dexamples=true -Dtests=false
fi
ninja -C build examples/unsupervised
mkdir -p results
build/examples/unsupervised --json results/results.json --maps results/maps "$@" \
    >results/table.txt
cat results/table.txt
echo
echo "table:     results/table.txt"
echo "record:    results/results.json"
echo "heat maps: $(find results/maps -name '*.png' | wc -l) pictures below results/maps"
