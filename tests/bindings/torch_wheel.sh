#!/bin/sh
# The wheel for the PyTorch of a virtual environment, made and used as its owner would:
#
#     sh tests/bindings/torch_wheel.sh VENV [BUILD] [FOLDER]
#
# VENV has a PyTorch (pip install torch numpy). BUILD (default: build-torch) is configured for it, and
# FOLDER (default: wheels) gets the wheel. Two fresh environments are made, which see no package of the
# system: one with VENV's packages in its own site-packages, as pip would have installed them (links to the
# same files), and one that reaches them through a .pth file. In each the wheel is installed, PyTorch and the
# package are imported in either order, a detector scores, and arrays pass both ways at the same address.
set -eu
[ $# -ge 1 ] || { sed -n '3,10s/^# \{0,1\}//p' "$0"; exit 2; }
venv=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
build=${2:-build-torch} wheels=${3:-wheels}
source=$PWD
python=$venv/bin/python
packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
torch=$packages/torch
[ -f "$torch/version.py" ] || { echo "$venv holds no PyTorch" >&2; exit 2; }

[ -f "$build/build.ninja" ] ||
    meson setup "$build" "-Dlibtorch=$torch" -Dtests=false -Dexamples=false
ninja -C "$build"
wheel=$(python3 bindings/python/make_wheel.py "$build" "$wheels")
wheel=$(realpath "$wheel")
echo "made $(basename "$wheel")"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# what the system's Python and a build folder would add
unset PYTHONPATH IMIAD_LIBRARY LD_LIBRARY_PATH || true
for kind in beside elsewhere; do
    "$python" -m venv --without-pip "$scratch/$kind"
    fresh=$scratch/$kind/bin/python
    own=$("$fresh" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    if [ $kind = beside ]; then
        cp -rl "$packages/." "$own/" 2>/dev/null || cp -r "$packages/." "$own/"
    else
        echo "$packages" >"$own/other.pth"
    fi
    "$python" -m pip --python "$fresh" install --quiet --no-index --no-deps --target "$own" --upgrade "$wheel"
    (cd "$scratch" && "$python" -m pip --python "$fresh" check >"$scratch/check" 2>&1) || true
    if grep -i '^imiad' "$scratch/check"; then exit 1; fi
    for order in "torch, imiad" "imiad, torch"; do
        (cd "$scratch" && "$fresh" "$source/tests/bindings/torch_wheel.py" "$order")
        echo "torch $kind, import $order: works"
    done
done
