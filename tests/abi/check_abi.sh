# Sourced: describes a library and holds it against a baseline, with libabigail.

# describe_abi LIBRARY HEADERS OUT: what programs can see of it, without paths
describe_abi() {
    abidw --headers-dir "$2" --drop-private-types --drop-undefined-syms --no-corpus-path --no-comp-dir-path \
        --no-show-locs --type-id-style hash --out-file "$3" "$1" &&
        python3 "${IMIAD_SOURCE:-.}/tests/abi/hide_handles.py" "$2" "$3"
}

# keeps_abi BASELINE LIBRARY HEADERS: nothing is gone or changed; functions may have been added
keeps_abi() {
    describe_abi "$2" "$3" "$scratch/now.abi" && abidiff --no-added-syms "$1" "$scratch/now.abi"
}
