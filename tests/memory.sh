#!/bin/sh
# Looks for errors of memory: builds library, tests and programs with AddressSanitizer and
# UndefinedBehaviorSanitizer, and runs tests in that build. What a process has not freed at its end is
# an error too.
#
#     tests/memory.sh FOLDER [TEST...]     the folder of the build, and tests by their names of
#                                          `meson test`; all of them where none is named
#
# A test takes three to ten times as long as usual. libtorch, its libraries and the system's are not
# built for the sanitizers: what they allocate and free is seen, what they read and write is not.
set -eu
[ $# -gt 0 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" && exit 2; }
cd "$(dirname "$0")/.."
folder=$1
shift
[ -f "$folder/build.ninja" ] || meson setup "$folder" -Db_sanitize=address,undefined \
    -Db_lundef=false -Dbuildtype=debugoptimized -Dpython= -Dexamples=true
# GCC 12.2 puts vectors of 64 bytes into unaligned frames where returned ones are watched (its bug 110027)
watched=1
grep -qs avx512f /proc/cpuinfo && watched=0
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=$watched:strict_string_checks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
exec meson test -C "$folder" --timeout-multiplier 15 --num-processes 1 --print-errorlogs "$@"
