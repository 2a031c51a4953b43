#!/bin/sh
# Builds the Debian packages into a folder, looks at them with lintian, and tries them out:
#     sh bindings/debian/build.sh [FOLDER]
# dpkg wants debian/ at the top of the sources, so a copy of the sources is built.
set -eu
cd "$(dirname "$0")/../.."
. examples/packages.sh
install_packages git debhelper dh-python help2man build-essential fakeroot lintian python3-numpy
mkdir -p "${1:-packages}"
folder=$(cd "${1:-packages}" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

mkdir "$scratch/libimiad"
git ls-files -z | tar -c --null --files-from=- | tar -x -C "$scratch/libimiad"
cp -r bindings/debian "$scratch/libimiad/debian"
rm "$scratch"/libimiad/debian/*.sh
(cd "$scratch/libimiad" && dpkg-buildpackage -us -uc -b -j"$(nproc)") >"$folder/build.log" 2>&1 || {
    tail -n 40 "$folder/build.log"
    exit 1
}
cp "$scratch"/*.deb "$scratch"/*.changes "$scratch"/*.buildinfo "$folder"
lintian --allow-root --fail-on error "$folder"/*.changes
sh bindings/debian/try.sh "$folder"
ls -l "$folder"/*.deb
