#!/bin/sh
# Runs a program that was built without sanitizers and loads a library that was built with them:
# with_sanitizers.sh SANITIZERS PROGRAM [ARGUMENT...], SANITIZERS as Meson's b_sanitize says them.
set -eu
sanitizers=$1
shift
if [ "$sanitizers" != none ]; then # they must be there first; what a program of others leaves is not ours
    LD_PRELOAD=$(${CC:-cc} -print-file-name=libasan.so):$(${CC:-cc} -print-file-name=libubsan.so)
    ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
    export LD_PRELOAD ASAN_OPTIONS
fi
exec "$@"
