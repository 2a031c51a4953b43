#!/bin/sh
# What needs no tensor starts without libtorch: here the file that is linked with it is not there.
. "$IMIAD_SOURCE/tests/script.sh"
library=$1 programs=$2 make_store=$3
works "the library itself does not need libtorch" sh -c "! readelf -d '$library' | grep -E 'NEEDED.*(torch|c10)'"
mkdir "$scratch/alone"
cp "$library" "$scratch/alone/libimiad.so.0"
export LD_LIBRARY_PATH="$scratch/alone"

for name in unsupervised fewshot benchmark compare inspect list_dataset export_dataset; do
    works "imiad-$name --help" "$programs/imiad-$name" --help
    works "imiad-$name --version" "$programs/imiad-$name" --version
done
works "detectors are listed" "$programs/imiad-unsupervised" --list-detectors
works "a detector's options are told" "$programs/imiad-unsupervised" --describe draem
works "a dataset is listed" "$programs/imiad-list_dataset" synthetic
works "a store is made" "$make_store" "$scratch/r.sqlite"
works "results stand beside the published ones" "$programs/imiad-compare" --results "$scratch/r.sqlite"
works "a report is written" "$programs/imiad-benchmark" report "$scratch/r.sqlite" -o "$scratch/r.html"

run() {
    "$programs/imiad-unsupervised" --dataset synthetic --detector padim --backbone resnet18
}
says "what needs a tensor says what is missing" "libtorch cannot be loaded: libimiad-torch.so.0" run
${CC:-cc} -shared -fPIC -x c - -o "$scratch/alone/libimiad-torch.so.0" <<'END'
const void *imiad_bridge(const char *sign, const void *host) { return 0; }
END
says "a file of another build is refused" "belongs to another version of libimiad" run
finish without-libtorch
