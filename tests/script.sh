# Sourced by test scripts: counts statements, ends as the Check programs do.
passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

pass() { passed=$((passed + 1)); }
flunk() {
    failed=$((failed + 1))
    echo "FAILED: $1"
    [ ! -s "$scratch/output" ] || sed 's/^/    /' "$scratch/output"
}

# says STATEMENT TEXT COMMAND...: the command fails and its output has the text
says() {
    statement=$1 text=$2
    shift 2
    if "$@" >"$scratch/output" 2>&1; then
        flunk "$statement: it did not fail"
    elif grep -qF -- "$text" "$scratch/output"; then
        pass
    else
        flunk "$statement: it did not say \"$text\""
    fi
}

# works STATEMENT COMMAND...: the command succeeds
works() {
    statement=$1
    shift
    if "$@" >"$scratch/output" 2>&1; then pass; else flunk "$statement"; fi
}

# finish NAME
finish() {
    echo "$1: $passed passed, $failed failed, 0 skipped"
    [ "$failed" -eq 0 ]
}
