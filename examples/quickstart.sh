#!/bin/sh
# Sets up everything on a Debian machine, the default weights included, and runs the unsupervised
# setting on the images that the library draws itself. Leaves results/table.txt, results/results.json, results/maps/
# and results/report.html.
set -eu
cd "$(dirname "$0")/.."
. examples/packages.sh
. examples/build_folder.sh
. examples/weights.sh
install_packages python3-pip

if [ -f build/build.ninja ]; then # one that has tests keeps them
    prepare_build build -Dexamples=true
else # a new one needs none, nor the packages that they take
    prepare_build build -Dexamples=true -Dtests=false
fi
ninja -C build examples/unsupervised examples/imiad-benchmark
if weights=$(fetch_weights); then
    echo "weights:   $weights"
    set -- --weights default "$@"
else
    echo "The default weights could not be fetched: it goes on with random weights, which find less."
fi
mkdir -p results
rm -f results/quickstart.sqlite # the report is of this run alone
build/examples/unsupervised --json results/results.json --maps results/maps \
    --results results/quickstart.sqlite --keep-pictures "$@" >results/table.txt
cat results/table.txt
echo
build/examples/imiad-benchmark report results/quickstart.sqlite -o results/report.html >/dev/null
echo "table:     results/table.txt"
echo "record:    results/results.json"
echo "heat maps: $(find results/maps -name '*.png' | wc -l) pictures below results/maps"
echo "store:     results/quickstart.sqlite"
echo "report:    results/report.html, beside the published figures: open it in a browser"
echo "next:      docs/getting-started.md, from photographs of your own to OK or not OK"
