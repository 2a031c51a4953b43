#!/bin/sh
# Makes the reference of the public headers: FOLDER/html/index.html. A warning is a failure.
set -eu
mkdir -p "${1:?usage: reference.sh FOLDER}"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
(cat docs/Doxyfile && echo "OUTPUT_DIRECTORY = \"$folder\"") | doxygen -
