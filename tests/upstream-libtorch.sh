#!/bin/sh
# Builds and tests against an upstream libtorch instead of the system's:
#
#     tests/upstream-libtorch.sh DIR [BUILD]
#
# DIR has include/ and lib/: the unpacked libtorch archive, or the folder "torch" inside an unpacked
# Python wheel of torch. A CUDA build needs the CUDA libraries that it was linked with; a wheel looks
# for them beside itself, in ../nvidia, where the wheels that it requires unpack to.
#
# IMIAD_TEST_DEVICE=cuda tests/upstream-libtorch.sh DIR runs the networks of the detectors' tests, the
# bridge's operations and the searches of banks on the GPU; "devices" holds each detector against the CPU.
set -eu
[ $# -ge 1 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 2; }
libtorch=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
build=${2:-build-upstream}
[ -f "$libtorch/include/ATen/ATen.h" ] ||
    { echo "$libtorch holds no libtorch: no include/ATen/ATen.h" >&2; exit 2; }

if [ -f "$build/build.ninja" ]; then
    meson configure "$build" "-Dlibtorch=$libtorch"
else
    meson setup "$build" "-Dlibtorch=$libtorch"
fi
ninja -C "$build"
meson test -C "$build" --no-rebuild --print-errorlogs
