#!/bin/sh
# docs/adding-a-dataset.md: its reader compiles without a warning.
. "$IMIAD_SOURCE/tests/script.sh"
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' \
    "$IMIAD_SOURCE/docs/adding-a-dataset.md" >"$scratch/washers.c"
works "there is a reader on the page" test -s "$scratch/washers.c"
works "it compiles" ${CC:-cc} -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wno-unused-parameter -Wshadow \
    -Werror -I"$IMIAD_SOURCE/lib" -I"$IMIAD_SOURCE/include" -c "$scratch/washers.c" \
    -o "$scratch/washers.o"
finish adding-a-dataset
