#!/bin/sh
# Usage: tests/bench/two_programs.sh [BUILD] [ROUNDS]
# One short training and PatchCore, each alone and then twice at once: seconds by the clock and the ratio of two at
# once to one alone, as a user starts them, and with waiting threads told to sleep at once (OMP_WAIT_POLICY=passive).
# Two equal programs on the same cores cannot do better than 2.0, less what one alone leaves idle.
set -eu
build=${1:-build} rounds=${2:-5}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
small="--category hex_nut --set-dataset train=32 --set-dataset test_good=8 --set-dataset test_defective=8"

clock() { date +%s.%N; }
seconds() { echo "$1 $2" | awk '{printf "%.2f\n", $2 - $1}'; }
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

measure() # NAME OPTIONS...
{
    name=$1
    shift
    for round in $(seq "$rounds"); do
        begin=$(clock)
        "$build/examples/unsupervised" $small "$@" >"$scratch/log" 2>&1
        seconds "$begin" "$(clock)" >>"$scratch/alone"
        begin=$(clock)
        "$build/examples/unsupervised" $small "$@" >"$scratch/log" 2>&1 &
        first=$!
        "$build/examples/unsupervised" $small "$@" >"$scratch/log2" 2>&1
        wait "$first"
        seconds "$begin" "$(clock)" >>"$scratch/both"
    done
    alone=$(median <"$scratch/alone") both=$(median <"$scratch/both")
    rm "$scratch/alone" "$scratch/both"
    echo "$alone $both" | awk -v name="$name" '{printf "%-36s alone %6.2f s, two at once %6.2f s: %.2f times\n", name, $1, $2, $2 / $1}'
}

both_kinds() # WHAT
{
    measure "STPM, 96 pixels$1" --detector stpm --set epochs=2 --set resize=96 --set crop=96
    measure "PatchCore, 224 pixels$1" --detector patchcore
}
both_kinds ""
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY
both_kinds ", passive"
