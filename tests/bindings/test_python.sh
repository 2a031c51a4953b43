#!/bin/sh
# The Python package, tested by the interpreter that it is built for.
set -eu
exec "$IMIAD_SOURCE/tests/with_sanitizers.sh" "$IMIAD_SANITIZERS" \
    "$1" -m pytest -q -p no:cacheprovider "$IMIAD_SOURCE/tests/bindings"
