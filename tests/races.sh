#!/bin/sh
# Looks for data races: builds the library with ThreadSanitizer, its C and its C++ over libtorch, and
# runs every test whose source starts threads, sets their number or brings code that the library calls
# on threads of its own. Among them is `scoring`: two detectors of every registered kind learn at once,
# with their loaders' threads beside them, and clones of them score at once.
#
#     tests/races.sh [FOLDER [TEST...]]   the folder of the build; without one it is thrown away. Tests
#                                         are named by their sources: scoring, own_datasets
#
# `scoring` alone takes about ten minutes of a processor.
#
# libtorch itself is not built for the sanitizer. What its operations read and change is told to the
# sanitizer by the bridge (lib/bridge/race_watch.h), so that clones that changed a tensor that they
# share would be reported. libtorch's own threads wait in libgomp, whose barriers are not seen, so that
# each of them would be reported too: OMP_THREAD_LIMIT=1 leaves libtorch the threads that call it, while
# the library's own pool keeps all of its. Nothing is suppressed. Not seen: races inside libtorch.
set -eu
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then
    folder=$1
    shift
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi

# a function for several kinds of CPU is chosen before the sanitizer has started: one kind only
[ -f "$folder/build.ninja" ] || meson setup "$folder" -Db_sanitize=thread -Db_lundef=false \
    -Dbuildtype=debugoptimized -Dpython= -Dexamples=false "-Dc_args=-Dtarget_clones(...)=unused"

if [ $# -gt 0 ]; then
    sources=$(printf 'tests/*/test_%s.c ' "$@")
else
    sources=$(grep -lE 'pthread_create|imiad_set_threads|parallel_for|imiad_[a-z]+_register\(' tests/*/test_*.c)
fi
objects=$(ninja -C "$folder" -t targets all)
programs=
for source in $sources; do
    part=${source#tests/}
    object="$(echo "$part" | tr / _)" # of the programs of tests/meson.build; the others are a folder deeper
    programs="$programs $(echo "$objects" |
        sed -n "s,^\(tests/test-[^/]*\)\.p/$object\.o:.*,\1,p; s,^\(tests/${part%/*}/test-[^/]*\)\.p/${part#*/}\.o:.*,\1,p")"
done
# shellcheck disable=SC2086
ninja -C "$folder" $programs

# the sanitizer's memory does not fit beside addresses that are drawn too widely
fixed="setarch -R"
$fixed true 2>/dev/null || fixed=
IMIAD_SOURCE=$(pwd)
IMIAD_SHARED=$IMIAD_SOURCE/../shared
CK_DEFAULT_TIMEOUT=3600
export IMIAD_SOURCE IMIAD_SHARED CK_DEFAULT_TIMEOUT
export CK_FORK=no OMP_THREAD_LIMIT=1 OMP_WAIT_POLICY=passive TSAN_OPTIONS=halt_on_error=1:allocator_may_return_null=1
for program in $programs; do
    began=$(date +%s)
    $fixed "$folder/$program"
    echo "$program: $(($(date +%s) - began)) s"
done
