#!/bin/sh
# Looks for data races: builds the tests that use threads with ThreadSanitizer, without libtorch,
# which is not built for it.
#
#     tests/races.sh [FOLDER]
#
# Where the kernel's address randomisation is too wide for the sanitizer, run it under setarch -R.
set -eu
cd "$(dirname "$0")/.."
folder=${1:-$(mktemp -d)}
mkdir -p "$folder"
sources=$(ls lib/base/*.c lib/data/*.c lib/image/*.c | grep -v decode_libjpeg)

for test in base/test_base data/test_loader data/test_own_datasets; do
    program=$folder/$(basename "$test")
    # shellcheck disable=SC2086
    ${CC:-cc} -std=c11 -O1 -g -fsanitize=thread -D_GNU_SOURCE -ffp-contract=off \
        -Iinclude -Ilib -Itests -o "$program" "tests/$test.c" $sources \
        $(pkg-config --cflags --libs check libmd zlib) -pthread -lm
    TSAN_OPTIONS=halt_on_error=1 "$program"
done
