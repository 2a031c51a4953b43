#!/bin/sh
# Sets up everything on a Debian machine and runs every test.
# The last line is "N passed, N failed", with ", N skipped" where there are any.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
. examples/packages.sh
. examples/build_folder.sh
install_packages abigail-tools check cmake doxygen python3-numpy python3-pytest python3-matplotlib python3-sklearn python3-torch \
    python3-pip python3-pil locales

prepare_build "$build" -Dtests=true -Dexamples=true
ninja -C "$build"
status=0
meson test -C "$build" --no-rebuild --print-errorlogs || status=$?

# every test program closes with "NAME: N passed, N failed, N skipped"; one that died counts as failed
awk -v status="$status" '
    /^[a-z_0-9-]+: [0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ {
        passed += $2; failed += $4; skipped += $6
    }
    END {
        if (status != 0 && failed == 0) failed = 1
        line = passed + 0 " passed, " failed + 0 " failed"
        if (skipped) line = line ", " skipped " skipped"
        print line
        exit failed || status != 0
    }' "$build/meson-logs/testlog.txt"
