#!/bin/sh
# The interface against the one that was promised: docs/abi.md.
. "$IMIAD_SOURCE/tests/script.sh"
. "$IMIAD_SOURCE/tests/abi/check_abi.sh"
library=$1 described=$2 sanitizers=$3
shift 3 # what remains links what a build for sanitizers has at its start
headers=$IMIAD_SOURCE/include/imiad
[ "$sanitizers" = none ] || sanitize=-fsanitize=$sanitizers
update="if it is meant, tests/abi/update.sh takes it over"

# ---- that the check finds what it is there to find ----
cat >"$scratch/small.h" <<'C'
typedef struct thing { unsigned size; int value; } thing;
int thing_get(thing *out, int index);
int thing_put(const thing *given, double weight);
C
cat >"$scratch/small.c" <<'C'
#include "small.h"
int thing_get(thing *out, int index) { out->value = index; return 0; }
int thing_put(const thing *given, double weight) { return given->value + (int)weight; }
C
small() { # small NAME SED: a library of the two files, edited
    mkdir "$scratch/$1"
    sed "$2" "$scratch/small.h" >"$scratch/$1/small.h"
    sed "$2" "$scratch/small.c" >"$scratch/$1/small.c"
    ${CC:-cc} -g -shared -fPIC -o "$scratch/$1/libsmall.so" "$scratch/$1/small.c"
}
small first ''
small added 's/^#include.*/&\nint thing_new(void) { return 0; }/' # no header has that line
small removed '/thing_put/d'
small parameter 's/double weight/float weight/'
small member 's/int value/long value/'
small grown 's/int value;/int value; int more;/'
small same ''
describe_abi "$scratch/first/libsmall.so" "$scratch/first" "$scratch/small.abi"
kept() { keeps_abi "$scratch/small.abi" "$scratch/$1/libsmall.so" "$scratch/$1"; }
works "the same interface passes" kept same
works "an added function passes" kept added
says "a removed function fails" "thing_put" kept removed
says "a changed parameter fails" "float" kept parameter
says "a changed member fails" "value" kept member
says "a grown structure fails until it is taken over" "size changed" kept grown

# ---- the library ----
exported() { nm -D --defined-only "$1" | awk '{ print $3 }' | sed 's/@.*//' | sort -u; }
same_symbols() {
    exported "$library" >"$scratch/library" && exported "$described" >"$scratch/described" &&
        diff "$scratch/library" "$scratch/described"
}
works "what is described exports what the library exports" same_symbols
[ "$(uname -m)" != x86_64 ] ||
    works "nothing promised is gone or changed ($update)" \
        keeps_abi "$IMIAD_SOURCE/tests/abi/libimiad-x86_64.abi" "$described" "$headers"
works "structures and constants lie where they lay, in C ($update)" ${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic \
    -Werror -I"$IMIAD_SOURCE/include" -fsyntax-only "$IMIAD_SOURCE/tests/abi/layout.c"
works "and in C++" ${CXX:-c++} -x c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -I"$IMIAD_SOURCE/include" \
    -fsyntax-only "$IMIAD_SOURCE/tests/abi/layout.c"

# ---- a program of the first version ----
folder=$(dirname "$library")
works "a program of the first version links" ${CC:-cc} -std=c11 ${sanitize:-} -Wno-builtin-declaration-mismatch \
    "$IMIAD_SOURCE/tests/abi/first_consumer.c" -o "$scratch/first_consumer" "$library" \
    "-Wl,-rpath,$(realpath "$folder")" "$@"
works "and runs" "$scratch/first_consumer"

finish abi-kept
