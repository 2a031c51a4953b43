#!/bin/sh
# Makes the present interface the one that later versions are held against. docs/abi.md says when.
#
#     tests/abi/update.sh [BUILD]
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build}
. tests/abi/check_abi.sh
ninja -C "$build" tests/abi/libimiad-abi.so
describe_abi "$build/tests/abi/libimiad-abi.so" include/imiad tests/abi/libimiad-x86_64.abi
python3 tests/abi/make_layout.py include/imiad >tests/abi/layout.c
git --no-pager diff --stat -- tests/abi
