#!/bin/sh
# examples/build_folder.sh on a small project: whatever state a build folder is in, what the scripts
# ask for is there afterwards, and what was thrown away is said.
. "${0%/*}/../script.sh"
. "${0%/*}/../../examples/build_folder.sh"

mkdir "$scratch/a project"
cd "$scratch/a project" || exit 1
printf "project('small')\n" >meson.build
cat >meson_options.txt <<'END'
option('tests', type: 'boolean', value: true)
option('examples', type: 'boolean', value: true)
option('libtorch', type: 'string', value: '')
END

has() { # OPTION VALUE
    options_of build | grep -qxF "$1=$2"
}
prepares() { # STATEMENT ARGUMENTS...
    statement=$1
    shift
    prepare_build build "$@" >"$scratch/said" 2>&1
    works "$statement" test $? -eq 0
}
told() { grep -qF "$1" "$scratch/said"; }

prepares "a new folder is configured" -Dtests=false
works "with what was asked for" has tests false
touch build/witness
prepares "a folder that fits is left as it is" -Dexamples=true
works "and says nothing" test ! -s "$scratch/said"

prepares "a folder without tests gains them" -Dtests=true
works "and says so" told "configured without tests=true"
works "tests are there" has tests true
works "nothing was thrown away" test -f build/witness

works "an option of the caller's" meson configure build -Dlibtorch= -Dexamples=false -Dbuildtype=debug
prepares "does not hinder" -Dexamples=true
works "what was asked for is there" has examples true
works "what was not stays" has buildtype debug

sed -i '1s/.*/cc 1.0/' build/tools-in-use
prepares "another compiler" -Dtests=true
works "makes the folder anew, saying so" told "making it anew"
works "with the caller's options" has buildtype debug
works "and nothing of the old one" test ! -f build/witness

rm build/build.ninja
prepares "an interrupted configuration" -Dtests=true
works "is made anew" told "making it anew"
works "and complete" has tests true

echo torn >build/meson-private/coredata.dat
rm build/tools-in-use
prepares "a damaged configuration" -Dtests=true
works "is made anew" has tests true

mkdir pictures
touch pictures/mine
says "somebody's folder is not touched" "not a build folder" prepare_build pictures
works "and is whole" test -f pictures/mine
finish build-folder
