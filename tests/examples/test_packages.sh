#!/bin/sh
# Which packages the scripts install, and where they go on without: on machines of the test's own.
. "$IMIAD_SOURCE/tests/script.sh"
mkdir "$scratch/bin"
stub() { # NAME SCRIPT
    printf '#!/bin/sh\n%s\n' "$2" >"$scratch/bin/$1"
    chmod +x "$scratch/bin/$1"
}
stub dpkg-query 'for word; do name=$word; done
case " $ABSENT " in *" $name "*) exit 1 ;; esac
echo "install ok installed"'
stub readlink 'echo "$BLAS"'
stub id 'echo "$USER_ID"'
stub apt-get 'echo "apt-get $*"
[ "$REACHED" = yes ]'
stub sudo 'echo "asks for a password"
exit 1'
# machine ABSENT BLAS USER_ID REACHED: the scripts' first step there
machine() {
    env PATH="$scratch/bin:$PATH" ABSENT="$1" BLAS="/usr/lib/x/$2/libblas.so.3" USER_ID="$3" REACHED="$4" \
        sh -euc '. "$IMIAD_SOURCE/examples/packages.sh"
        install_packages python3-pip
        echo "goes on"' >"$scratch/said" 2>&1 || { cat "$scratch/said" && return 1; }
}
shown() { grep -qF -- "$1" "$scratch/said"; }
openblas=libopenblas0-openmp

works "with all packages there" machine "" openblas-pthread 0 no
works "nothing is asked for" test "$(cat "$scratch/said")" = "goes on"
works "what is missing" machine "meson python3-pip" openblas-pthread 0 yes
works "is installed" shown "--no-install-recommends meson python3-pip"
says "and needed" "installing: meson" machine meson openblas-pthread 0 no
works "in place of the reference BLAS" machine $openblas blas 0 yes
works "a faster one is installed" shown "--no-install-recommends $openblas"
works "where it cannot be had" machine $openblas blas 0 no
works "it goes on without" shown "goes on"
works "who chose the reference BLAS beside it" machine "" blas 0 no
works "keeps it" test "$(cat "$scratch/said")" = "goes on"
works "who is not root" machine $openblas blas 1000 no
works "is told of it" shown "apt-get install $openblas"
works "and asked for no password" test "$(wc -l <"$scratch/said")" -eq 2
says "but for what is needed" "asks for a password" machine meson blas 1000 no
finish example-packages
