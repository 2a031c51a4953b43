#!/bin/sh
# The Python package, tested by the interpreter that it is built for.
set -eu
if [ "$IMIAD_SANITIZERS" != none ]; then # the interpreter was not built with them: it loads them first
    LD_PRELOAD=$(${CC:-cc} -print-file-name=libasan.so):$(${CC:-cc} -print-file-name=libubsan.so)
    ASAN_OPTIONS=detect_leaks=0
    export LD_PRELOAD ASAN_OPTIONS
fi
exec "$1" -m pytest -q -p no:cacheprovider "$IMIAD_SOURCE/tests/bindings"
