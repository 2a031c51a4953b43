# Sourced by the scripts: makes a build folder ready, whatever state it is in.

# The options of a build folder, a line each: name=value.
options_of() { # FOLDER
    meson introspect --buildoptions "$1" 2>/dev/null | python3 -c '
import json, sys
for option in json.load(sys.stdin):
    value = option["value"]
    print(option["name"], str(value).lower() if isinstance(value, bool) else value, sep="=")
' 2>/dev/null || :
}

# What an old folder must not survive: it holds what was compiled against these.
tools_in_use() { # OPTIONS
    "${CC:-cc}" --version | head -n 1
    "${CXX:-c++}" --version | head -n 1
    dpkg-query -W -f '${Package} ${Version}\n' meson libtorch-dev libtorch1.13 libstb-dev \
        2>/dev/null || :
    torch=$(echo "$1" | sed -n 's/^libtorch=//p')
    if [ -n "$torch" ]; then
        cat "$torch/build-version" 2>/dev/null || cat "$torch/version.py" 2>/dev/null || :
    fi
    pwd
}

# prepare_build FOLDER -Dname=value ...: configures FOLDER so that it has these options at least;
# others that it was configured with stay. A folder that is out of date is made anew.
prepare_build() {
    folder=$1
    shift
    if [ -e "$folder" ] && [ ! -d "$folder/meson-private" ] && [ -n "$(ls -A "$folder")" ]; then
        echo "$folder: not a build folder of Meson; name another one or move it away" >&2
        return 1
    fi
    if [ ! -f "$folder/build.ninja" ] || [ ! -f "$folder/meson-private/coredata.dat" ]; then
        if [ -d "$folder" ]; then
            echo "$folder: its configuration was never finished; making it anew"
            rm -rf "$folder"
        fi
        meson setup "$folder" "$@"
        tools_in_use "" >"$folder/tools-in-use"
        return
    fi
    options=$(options_of "$folder")
    tools=$(tools_in_use "$options")
    if [ -f "$folder/tools-in-use" ] && [ "$tools" != "$(cat "$folder/tools-in-use")" ]; then
        echo "$folder: the compiler, libtorch or the folder's place has changed; making it anew"
        wipe_build "$folder" "$@"
    else
        for wanted in "$@"; do
            if ! echo "$options" | grep -qxF -- "${wanted#-D}"; then
                echo "$folder: configured without ${wanted#-D}; configuring it again"
                meson setup --reconfigure "$folder" "$@" || wipe_build "$folder" "$@"
                break
            fi
        done
    fi
    echo "$tools" >"$folder/tools-in-use"
}

# Makes a folder anew with the options it had; without them where Meson cannot read them any more.
wipe_build() {
    folder=$1
    shift
    if ! meson setup --wipe "$folder" "$@"; then
        echo "$folder: cannot be read any more; making it anew with the default options"
        rm -rf "$folder"
        meson setup "$folder" "$@"
    fi
}
