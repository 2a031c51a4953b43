#!/bin/sh
# The reference: Doxygen reads every public header without a warning, and what it writes has the text.
. "$IMIAD_SOURCE/tests/script.sh"
works "no header gives a warning" sh "$IMIAD_SOURCE/docs/reference.sh" "$scratch"
works "a comment stands with its function" grep -q "Scores one image of any size" \
    "$scratch/html/detector_8h.html"
works "a comment behind a member stands with it" grep -rq "larger is more anomalous; raw" "$scratch/html"
finish reference
