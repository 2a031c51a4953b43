#!/bin/sh
# Installs the packages of a folder with apt into an empty Debian 12 and works with them there:
#     sh bindings/debian/try_chroot.sh [FOLDER [MIRROR]]
# MIRROR is an address or a line of sources.list; without it, the machine's own sources of Debian serve.
# Nothing of the machine but these packages and the pages with their programs is in there, and nothing of it
# stays. Run it as root.
set -eu
cd "$(dirname "$0")/../.."
folder=$(cd "${1:-packages}" && pwd)
[ $# -eq 0 ] || shift
. examples/packages.sh
command -v mmdebstrap >/dev/null || install_packages mmdebstrap
[ $# -gt 0 ] || for sources in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
    [ ! -s "$sources" ] || set -- "$@" "$sources"
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/try"
for package in "$folder"/*.deb; do
    case $package in *-dbgsym*) ;; *) cp "$package" "$scratch/try" ;; esac
done
git ls-files -z README.md docs examples bindings/cpp/example.cpp tests/docs |
    tar -c --null --files-from=- | tar -x -C "$scratch/try"
cat >"$scratch/try/try.sh" <<'INSIDE'
set -eu
cd /try
install() {
    apt-get install -q -y --no-install-recommends "$@" >apt.log 2>&1 || { cat apt.log; exit 1; }
    echo "installed: $* ($(grep -c '^Setting up' apt.log) packages)"
}
alone() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 OMP_WAIT_POLICY=passive "$@"; }

install ./libimiad0_*.deb # alone, then the others: what each Depends lacks shows
if ldd /usr/lib/*/libimiad.so.0 | grep 'not found'; then exit 1; fi
install ./python3-imiad_*.deb
alone python3 tests/docs/run_installed.py . python
install ./libimiad-dev_*.deb gcc g++ libc6-dev pkg-config cmake make
alone python3 tests/docs/run_installed.py . c cpp cmake
alone c++ -std=c++17 bindings/cpp/example.cpp $(pkg-config --cflags --libs libimiad) -o example
alone ./example heatmap.png
test -s heatmap.png

install ./imiad_*.deb
alone imiad unsupervised --category hex_nut --set-dataset size=64 --set resize=64 --set crop=64 >table.txt
grep hex_nut table.txt

apt-get purge -q -y libimiad0 libimiad-dev python3-imiad imiad >apt.log 2>&1 || { cat apt.log; exit 1; }
if find / -xdev -path /try -prune -o -path /proc -prune -o -iname '*imiad*' -print | grep .; then
    echo "the packages left this behind" && exit 1
fi
echo "the packages work in $(. /etc/os-release && echo "$PRETTY_NAME"), and leave nothing when they go"
INSIDE
mmdebstrap --quiet --variant=minbase \
    --customize-hook="copy-in $scratch/try /" --customize-hook='chroot "$1" sh /try/try.sh' \
    bookworm /dev/null "$@"
