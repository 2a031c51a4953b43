# Sourced by the scripts: installs the Debian packages that are missing.
install_packages() {
    missing=
    for package in meson ninja-build pkg-config gcc g++ libtorch-dev libstb-dev zlib1g-dev \
        libjansson-dev libsqlite3-dev libmd-dev libjpeg-dev libdeflate-dev \
        libtiff-dev libwebp-dev "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $package"
    done
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
    $as_root apt-get update -q
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -q -y --no-install-recommends $missing
}
