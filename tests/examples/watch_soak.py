"""Holds `inspect --watch` to its promise: each image is judged once, none is lost, memory stays flat.

    watch_soak.py INSPECT DETECTOR [IMAGES [SECONDS]]

Two processes drop images into a folder, and into folders that they make below it, at random times within
SECONDS. Half of the images are written slowly, in pieces with pauses between; some are opened several times
while they are written; some are written elsewhere and moved in. Some lie there before the station starts.
The line of each image says a score; that of the few that are no images says an error.
"""
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import drawn

SIDE = 32


def drop(folder, names, seed, seconds):
    """One process's images, at random times."""
    draw = random.Random(seed)
    pieces = [drawn.part(SIDE, SIDE, f"{seed} {i}") for i in range(16)]
    times = sorted(draw.uniform(0, seconds) for _ in names)
    start = time.monotonic()
    slow = []  # (time, path, the rest): files that are being written

    def write_more(until):
        while slow and slow[0][0] <= until:
            _, path, file, rest = slow.pop(0)
            piece, rest = rest[:1 + len(rest) // 2], rest[1 + len(rest) // 2:]
            if file is None:  # opened anew for every piece
                with open(path, "ab") as once:
                    once.write(piece)
            else:
                file.write(piece)
                file.flush()
            if rest:
                slow.append((time.monotonic() - start + draw.uniform(0.01, 0.3), path, file, rest))
                slow.sort(key=lambda s: s[0])
            elif file is not None:
                file.close()

    for name, at in zip(names, times):
        while time.monotonic() - start < at:
            write_more(time.monotonic() - start)
            time.sleep(0.002)
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = draw.choice(pieces) if not os.path.basename(name).startswith("broken") else b"no image"
        how = draw.random()
        if how < 0.4:
            slow.append((0, path, open(path, "wb"), data))
        elif how < 0.5:
            slow.append((0, path, None, data))
        elif how < 0.65:
            hidden = os.path.join(folder, "." + os.path.basename(name))
            with open(hidden, "wb") as file:
                file.write(data)
            os.rename(hidden, path)
        else:
            with open(path, "wb") as file:
                file.write(data)
    while slow:
        write_more(time.monotonic() - start)
        time.sleep(0.002)


def memory_of(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def main():
    inspect, detector = sys.argv[1:3]
    images = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 6
    folder = tempfile.mkdtemp()
    lines_path = folder + ".lines"
    names = [f"{['', 'a/', 'b/c/'][i % 3]}{'broken ' if i % 50 == 7 else ''}{i:05d}.png" for i in range(images)]
    before = names[:images // 10]
    drop(folder, before, 0, 0)
    with open(lines_path, "wb") as out:
        station = subprocess.Popen([inspect, detector, "--watch", folder, "--settle", "1"], stdout=out,
                                   stderr=subprocess.DEVNULL)
    droppers = []
    for k in (1, 2):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                drop(folder, names[len(before):][k - 1::2], k, seconds)
                status = 0
            finally:
                os._exit(status)
        droppers.append(child)
    deadline = time.monotonic() + seconds + 60 + images
    count, early, late = 0, None, None
    while count < images and time.monotonic() < deadline and station.poll() is None:
        time.sleep(0.2)
        with open(lines_path, "rb") as file:
            count = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        if count >= images // 5 and early is None:
            early = memory_of(station)
        late = memory_of(station)
    time.sleep(2.5)  # whether some are judged a second time
    for child in droppers:
        assert os.waitpid(child, 0)[1] == 0
    station.send_signal(signal.SIGTERM)
    status = station.wait(60)
    with open(lines_path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    judged = collections.Counter(os.path.relpath(line["image"], folder) for line in lines)
    lost = [name for name in names if judged[name] == 0]
    twice = [name for name, times in judged.items() if times > 1]
    broken = {os.path.relpath(line["image"], folder) for line in lines if "error" in line}
    print(f"{images} images: {len(lost)} lost, {len(twice)} judged twice, exit status {status}, memory "
          f"{early} kB after a fifth, {late} kB at the end")
    shutil.rmtree(folder)
    os.remove(lines_path)
    assert not lost, lost[:5]
    assert not twice, twice[:5]
    assert set(judged) == set(names)
    assert broken == {name for name in names if "broken" in name}, broken
    assert status == (2 if broken else 0) or status in (0, 1), status
    assert early is None or late < 1.05 * early + 4096, (early, late)


if __name__ == "__main__":
    main()
