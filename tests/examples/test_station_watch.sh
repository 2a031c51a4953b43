#!/bin/sh
# The station beside a camera: images that come in are judged once each.
. "$IMIAD_SOURCE/tests/script.sh"
inspect=$1
drawn() { python3 "$IMIAD_SOURCE/tests/examples/drawn.py" "$@"; }
mkdir -p "$scratch/parts/train/good" "$scratch/in"
for i in $(seq 10); do drawn rgb 32 32 "$i" "$scratch/parts/train/good/$i.png"; done
works "a small detector" "$inspect" learn "$scratch/parts" "$scratch/d.imiad" resize=32 coreset_ratio=0.02
# what a sanitizer keeps of freed memory is no growth of the station's
works "of images that two processes drop, half of them slowly, each is judged once" \
    env ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=8" \
    python3 "$IMIAD_SOURCE/tests/examples/watch_soak.py" "$inspect" "$scratch/d.imiad" 60 6
cat >"$scratch/stop.py" <<'PY'
import os, shutil, signal, subprocess, sys, time
inspect, detector, folder, image, *more = sys.argv[1:]
station = subprocess.Popen([inspect, detector, "--watch", folder, *more], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
while b"watching" not in station.stderr.readline():
    pass
shutil.copy(image, folder + "/new.png")
line = station.stdout.readline()
assert b"new.png" in line, line
station.send_signal(signal.SIGTERM)
assert station.wait(60) in (0, 1)
assert b"stopped: 1 inspected" in station.stderr.read()
PY
cp "$scratch/parts/train/good/1.png" "$scratch/in/old.png"
works "what is there may be left alone; SIGTERM ends it with the verdicts' status" timeout 120 \
    python3 "$scratch/stop.py" "$inspect" "$scratch/d.imiad" "$scratch/in" "$scratch/parts/train/good/2.png" --skip-existing
says "a folder that is not there cannot be watched" "cannot watch" "$inspect" "$scratch/d.imiad" --watch "$scratch/nowhere"
finish example-station-watch
