# Sourced by the scripts: installs the Debian packages that are missing. Who has them all and is not root is asked
# for nothing.
install_packages() {
    missing=
    for package in meson ninja-build pkg-config gcc g++ libtorch-dev libstb-dev zlib1g-dev \
        libjansson-dev libsqlite3-dev libmd-dev libjpeg-dev libdeflate-dev \
        libtiff-dev libwebp-dev "$@"; do
        installed "$package" || missing="$missing $package"
    done
    better=
    # libtorch is content with the reference BLAS, over which some trainings take several times as long
    case $(readlink -f /usr/lib/*/libblas.so.3) in
        "" | */blas/libblas.so*) installed libopenblas0-openmp || better=libopenblas0-openmp ;;
    esac
    if [ "$(id -u)" -ne 0 ] && [ -z "$missing" ]; then
        [ -z "$better" ] || echo "Training is faster over another BLAS: apt-get install $better"
        return
    fi
    missing="$missing${better:+ $better}"
    [ -z "$missing" ] && return
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "missing packages, to be installed as root: apt-get install$missing" >&2
            return 1
        fi
        as_root=sudo
    fi
    echo "installing:$missing"
    # shellcheck disable=SC2086
    { $as_root apt-get update -q &&
        DEBIAN_FRONTEND=noninteractive $as_root apt-get install -q -y --no-install-recommends $missing; } ||
        [ "$missing" = " $better" ] # it goes without
}

installed() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}
