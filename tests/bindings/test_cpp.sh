#!/bin/sh
# Runs the C++ tests and the example in a folder of their own.
. "$IMIAD_SOURCE/tests/script.sh"
program=$1 plugins=$2 example=$3
"$program" "$scratch" || exit 1
"$plugins" "$scratch" || exit 1
works "the example fits, measures and draws" "$example" "$scratch/heatmap.png"
works "it leaves a picture" test -s "$scratch/heatmap.png"
says "the example without arguments" "usage" "$example"
says "the example with a file that is no weights" "IMIAD_" "$example" "$scratch/x.png" "$0"
finish cpp-example
