#!/bin/sh
# The long form of what tests/robust looks at, whose figures stand in docs/reliability.md.
#
#     sh tests/robust/long.sh [BUILD] [KILLS] [MUTANTS] [SOAK_SECONDS]
#
# BUILD (default: build) holds everything that is built; KILLS is 1000, MUTANTS of each reader 170000, and the soak
# takes 1800 seconds, where nothing else is said. For sanitizers name a build folder that was configured with
# -Db_sanitize=address,undefined: the allocations, which need an allocator of their own, are left out there.
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build}
kills=${2:-1000}
mutants=${3:-170000}
soak=${4:-1800}
library=$build/lib/libimiad.so

python3 tests/robust/every_call.py null "$library" include/imiad
if [ -e "$build/tests/robust/libfail_allocations.so" ]; then
    LD_PRELOAD=$build/tests/robust/libfail_allocations.so \
        python3 tests/robust/every_call.py memory "$library" include/imiad
fi
for reader in "$build"/tests/fuzz/fuzz-*; do
    case $reader in *.p) continue ;; esac
    "$reader" -runs="$mutants" -seed=14
done
python3 tests/robust/kills.py "$build/examples" "$kills"
python3 tests/robust/benchmark_kills.py "$build/examples/imiad-benchmark" 200 100
"$build/tests/robust/soak" "$soak"
