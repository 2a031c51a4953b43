#!/bin/sh
# What list_dataset says of a folder.
. "$IMIAD_SOURCE/tests/script.sh"
list=$1 export=$2

# shows STATEMENT TEXT COMMAND...: the command succeeds and its output has the text
shows() {
    statement=$1 text=$2
    shift 2
    if ! "$@" >"$scratch/output" 2>&1; then
        flunk "$statement: it failed"
    elif grep -qF -- "$text" "$scratch/output"; then
        pass
    else
        flunk "$statement: it did not say \"$text\""
    fi
}

# two of the five categories of MPDD's layout, under official names, from images that are drawn
works "drawn images can be exported" "$export" "$scratch/drawn" size=32 train=3 test_good=2 \
    test_defective=4 categories=fabric,hex_nut
mkdir "$scratch/mpdd"
mv "$scratch/drawn/fabric" "$scratch/mpdd/tubes"
mv "$scratch/drawn/hex_nut" "$scratch/mpdd/washer"
rm "$scratch"/mpdd/tubes/ground_truth/hole/000_mask.png
echo text >"$scratch/mpdd/tubes/train/good/notes.txt"

shows "the official count, marked" "train good                        3   official    122 *" \
    "$list" mpdd "$scratch/mpdd"
shows "where it comes from" "tubes (official counts: counted by others)" "$list" mpdd "$scratch/mpdd"
shows "a category of one's own" "washer (official counts: none known)" "$list" mpdd "$scratch/mpdd"
shows "categories that are not there" "not here: bracket_black, bracket_brown, bracket_white" \
    "$list" mpdd "$scratch/mpdd"
shows "a missing mask" "defective without mask            1" "$list" mpdd "$scratch/mpdd"
shows "a file that was left out, and why" "tubes/train/good/notes.txt: it is no" \
    "$list" mpdd "$scratch/mpdd"
shows "sizes where asked for" "size                         32x32" "$list" --sizes mpdd "$scratch/mpdd"
shows "options are taken" "1 categories, 9 images" "$list" mpdd "$scratch/mpdd" categories=washer
shows "what the library draws" "circuit (official counts: none known)" "$list" synthetic size=32 train=1

says "no dataset" "Usage" "$list"
says "an unknown dataset" "no dataset is named" "$list" mpd "$scratch/mpdd"
says "a folder that is not there" "$scratch/nowhere" "$list" mpdd "$scratch/nowhere"
says "an unknown option" "colour" "$list" mpdd "$scratch/mpdd" colour=red
says "a stray word" "what is \"more\"" "$list" mpdd "$scratch/mpdd" more
finish example-list-dataset
