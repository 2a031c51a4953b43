#!/bin/sh
# The library as a linker sees it: exported names, SONAME, installation, pkg-config.
. "$IMIAD_SOURCE/tests/script.sh"
library=$1 build=$2 sanitizers=$3 # of the library: its users must bring them along
[ "$sanitizers" = none ] || sanitize=-fsanitize=$sanitizers

says "every exported symbol begins with imiad_" "nothing else" sh -c "
    nm -D --defined-only '$library' | awk '{print \$3}' | grep -v '^imiad_' && exit 0
    echo nothing else; exit 1"
works "every declared function is exported" sh -c "
    grep -ohE 'imiad_[a-z0-9_]+\(' '$IMIAD_SOURCE'/include/imiad/*.h | tr -d '(' | sort -u |
        grep -v '_function\$' >'$scratch/declared'
    nm -D --defined-only '$library' | awk '{print \$3}' | sed 's/@.*//' | sort -u >'$scratch/exported'
    comm -23 '$scratch/declared' '$scratch/exported' | tee '$scratch/lost'; [ ! -s '$scratch/lost' ]"
works "it has a SONAME" sh -c "readelf -d '$library' | grep -q 'SONAME.*libimiad.so.0\\]'"

for header in "$IMIAD_SOURCE"/include/imiad/*.h; do
    echo "#include \"imiad/$(basename "$header")\"" >"$scratch/alone.c"
    works "$(basename "$header") compiles alone as C11" ${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic \
        -Wstrict-prototypes -Werror -I"$IMIAD_SOURCE/include" -fsyntax-only "$scratch/alone.c"
    works "$(basename "$header") compiles alone as C++17" ${CXX:-c++} -x c++ -std=c++17 -Wall -Wextra \
        -Wpedantic -Werror -I"$IMIAD_SOURCE/include" -fsyntax-only "$scratch/alone.c"
done

works "it installs" env DESTDIR="$scratch/root" meson install -C "$build" --no-rebuild --quiet
prefix=$(find "$scratch/root" -name libimiad.pc | head -n 1)
works "pkg-config finds it" test -n "$prefix"
export PKG_CONFIG_PATH="${prefix%/*}" PKG_CONFIG_SYSROOT_DIR="$scratch/root"
works "a program builds against the installation" sh -c "
    ${CC:-cc} -std=c11 ${sanitize:-} '$IMIAD_SOURCE/examples/score_image.c' -o '$scratch/score_image' \
        \$(pkg-config --cflags --libs libimiad)"
says "and runs" "usage" env LD_LIBRARY_PATH="$(pkg-config --variable=libdir libimiad 2>/dev/null |
    sed "s|^|$scratch/root|;s|$scratch/root$scratch/root|$scratch/root|")" "$scratch/score_image"

finish abi
