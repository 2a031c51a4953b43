#!/bin/sh
# man_page.sh PROGRAM OUTPUT VERSION ABOUT: a man page of what the program says of itself.
# help2man hands the program's path to a shell as it is: from the program's own folder there is no space in it.
set -eu
case $2 in /*) output=$2 ;; *) output=$PWD/$2 ;; esac
cd "$(dirname "$1")"
exec help2man --no-info --version-string "$3" --name "$4" --output "$output" "./$(basename "$1")"
