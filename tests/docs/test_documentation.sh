#!/bin/sh
set -eu
python=$1
shift
[ "$3" = none ] || BLOCKS_PRELOAD=$(${CC:-cc} -print-file-name=libasan.so):$(${CC:-cc} -print-file-name=libubsan.so)
export BLOCKS_PRELOAD="${BLOCKS_PRELOAD:-}"
exec "$python" "$IMIAD_SOURCE/tests/docs/run_blocks.py" "$IMIAD_SOURCE" "$@"
