#!/bin/sh
# Looks for data races: builds the library with ThreadSanitizer, its C and its C++ over libtorch, and
# runs the tests that use threads: the pool, the loader, plug-ins called by several threads, searches,
# metrics, and clones of every detector that score at once.
#
#     tests/races.sh [FOLDER]         the folder of the build; without one it is thrown away
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
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi
tests="base loader own-datasets plugin search search_device coreset metrics-scores scoring"

# a function for several kinds of CPU is chosen before the sanitizer has started: one kind only
[ -f "$folder/build.ninja" ] || meson setup "$folder" -Db_sanitize=thread -Db_lundef=false \
    -Dbuildtype=debugoptimized -Dpython= -Dexamples=false "-Dc_args=-Dtarget_clones(...)=unused"
# shellcheck disable=SC2086
ninja -C "$folder" $(printf 'tests/test-%s ' $tests)

# the sanitizer's memory does not fit beside addresses that are drawn too widely
fixed="setarch -R"
$fixed true 2>/dev/null || fixed=
export CK_FORK=no OMP_THREAD_LIMIT=1 OMP_WAIT_POLICY=passive TSAN_OPTIONS=halt_on_error=1
for test in $tests; do
    $fixed "$folder/tests/test-$test"
done
