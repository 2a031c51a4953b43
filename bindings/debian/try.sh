#!/bin/sh
# Unpacks the packages of a folder into a prefix of their own and works with what is there:
#     sh bindings/debian/try.sh FOLDER
set -eu
cd "$(dirname "$0")/../.."
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
for package in "$1"/*.deb; do
    case $package in *-dbgsym*) ;; *) dpkg -x "$package" "$prefix" ;; esac
done
libraries=$(dirname "$(find "$prefix/usr/lib" -name libimiad.so.0)")
export LD_LIBRARY_PATH="$libraries" PKG_CONFIG_PATH="$libraries/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$prefix"

# shellcheck disable=SC2046
c++ -std=c++17 bindings/cpp/example.cpp $(pkg-config --cflags --libs libimiad) -o "$prefix/example"
"$prefix/example" "$prefix/heatmap.png"
test -s "$prefix/heatmap.png"
# shellcheck disable=SC2046
cc -std=c11 examples/score_image.c $(pkg-config --cflags --libs libimiad) -o "$prefix/score_image"
"$prefix/score_image" 2>&1 | grep -q usage
unset IMIAD_LIBRARY
PYTHONPATH=$prefix/usr/lib/python3/dist-packages PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -c '
import imiad
print("python3-imiad", imiad.__version__, imiad.__file__)
assert imiad.metrics.auroc([0, 1], [0.1, 0.9]) == 1'

# The programs: every one says what it is, has a man page, and completes.
PATH=$prefix/usr/bin:$PATH
for program in "$prefix"/usr/bin/*; do
    "$program" --help >/dev/null
    page=$prefix/usr/share/man/man1/$(basename "$program").1.gz
    man -l "$page" | grep -q "^NAME"
done
"$prefix/usr/bin/imiad" benchmark list "$prefix/usr/share/imiad/plans/quick.json" | grep -q cells
bash -ec '
_init_completion() { cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD; }
. "$1/usr/share/bash-completion/completions/imiad-inspect"
COMP_WORDS=(imiad inspect --wat) COMP_CWORD=2
_imiad imiad --wat inspect
[ "${COMPREPLY[*]}" = --watch ]' bash "$prefix"
echo "the packages work from $prefix"
