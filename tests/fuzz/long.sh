#!/bin/sh
# The long form of the fuzzing, guided by what an input reaches (libFuzzer), under sanitizers.
#
#     CC=clang CXX=clang++ meson setup fuzzing -Dfuzzing=true && ninja -C fuzzing fuzzers
#     sh tests/fuzz/long.sh fuzzing build FOLDER [RUNS [SLICE [TARGET...]]]
#
# The plain build writes the seeds. FOLDER keeps what was found, a log, and inputs that fail; the same
# command goes on from there. RUNS inputs (10 million) of each image format and of the text files of
# datasets, a tenth of weights, banks and selections, in turns of SLICE (500,000); or of those that are
# named. At the end, or killed, FOLDER/log has a line for each turn: target, inputs, seconds.
set -eu
[ $# -ge 3 ] || { sed -n '4,10s/^# \{0,1\}//p' "$0"; exit 2; }
fuzzing=$1/tests/fuzz plain=$2/tests/fuzz folder=$3 runs=${4:-10000000} slice=${5:-500000}
[ $# -le 5 ] && shift $# || shift 5
chosen=" $* "
mkdir -p "$folder/seeds" "$folder/found" "$folder/failed"
# small quarantine: without it most of the time goes into fresh pages
ASAN_OPTIONS=quarantine_size_mb=4:thread_local_quarantine_size_kb=64:malloc_context_size=4
export ASAN_OPTIONS

# what is fuzzed: NAME PROGRAM SHARE BEGIN, the seeds of which begin with BEGIN (printf)
targets() {
    printf '%s\n' 'png image 1 \211PNG' 'jpeg image 1 \377\330' 'bmp image 1 BM' 'pnm image 1 P' 'tiff image 1 II' \
        'webp image 1 RIFF' 'dataset-text dataset-text 1' 'npz npz 10' 'pth pth 10' 'safetensors safetensors 10' \
        'shards shards 10' 'selection selection 10' 'bank bank 10'
}

turn() { # NAME PROGRAM SHARE BEGIN
    case $chosen in "  " | *" $1 "*) ;; *) return 0 ;; esac
    done=$(awk -v name="$1" '$1 == name { sum += $2 } END { printf "%d", sum }' "$folder/log")
    [ "$done" -lt $((runs / $3)) ] || return 0
    mkdir -p "$folder/seeds/$1" "$folder/found/$1"
    "$plain/fuzz-$2" "-write=$folder/seeds/$1" "-like=$(printf "$4")"
    begin=$(date +%s)
    # a machine that does other things first stops a run for long: that is no time of the target
    "$fuzzing/fuzz-$2" -runs=$((slice / $3)) -seed=$((done + 1)) -max_len=4096 -timeout=1200 \
        "-artifact_prefix=$folder/failed/$1-" "$folder/found/$1" "$folder/seeds/$1" >"$folder/last" 2>&1 ||
        { echo "$1 failed"; cp "$folder/last" "$folder/failed/$1-$begin.txt"; }
    tried=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$folder/last")
    echo "$1 ${tried:-0} $(($(date +%s) - begin))" >>"$folder/log"
    again=1
}

touch "$folder/log"
again=1
while [ $again = 1 ]; do
    again=0
    targets >"$folder/targets"
    while read -r name program share start; do
        turn "$name" "$program" "$share" "${start:-}"
    done <"$folder/targets"
done
awk '{ sum[$1] += $2; seconds[$1] += $3 }
     END { for (name in sum) printf "%s: %d inputs, %d s\n", name, sum[name], seconds[name] }' "$folder/log" | sort
