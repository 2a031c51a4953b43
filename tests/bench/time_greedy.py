"""Seconds that patchcore-inspection's approximate greedy selection takes on one CPU, and whether it
picks as this library does.

    time_greedy.py ROWS COLUMNS MATRIX STARTS PICKS WANTED [SOURCE]

ROWS, MATRIX (the projection) and STARTS (int64) are raw files; PICKS (int64) holds this library's
picks from the same projection and starts. The selection stops after WANTED picks. SOURCE is a
checkout's folder src of patchcore-inspection: its own sampler then runs; without it the same
algorithm runs, in its own words, on the same library of tensors. Prints seconds a pick, the picks in
common from the first one on, and those in common at all. """
import os
import sys
import time

for library in "OMP", "OPENBLAS", "MKL":
    os.environ[library + "_NUM_THREADS"] = "1"

import numpy
import torch

import peer_blas

peer_blas.require()
torch.set_num_threads(1)


def squared_sums(rows):
    return rows.unsqueeze(1).bmm(rows.unsqueeze(2)).flatten()


def distances(rows, others):
    """|a|^2 - 2 ab + |b|^2, its root: as the published code measures, norms anew each time."""
    squares = squared_sums(rows)[:, None] - 2 * rows @ others.T + squared_sums(others)[None]
    return squares.clamp(min=0).sqrt()


def select(rows, starts, wanted):
    nearest = distances(rows, rows[starts]).mean(1)
    picks = []
    for _ in range(wanted):
        pick = int(nearest.argmax())
        picks.append(pick)
        nearest = torch.minimum(nearest, distances(rows, rows[pick : pick + 1])[:, 0])
    return picks


def official(rows, starts, wanted, folder):
    sys.path.insert(0, folder)
    from patchcore import sampler

    numpy.random.choice = lambda *_, **__: numpy.array(starts)
    run = sampler.ApproximateGreedyCoresetSampler(0.5, torch.device("cpu"), len(starts))
    run.percentage = (wanted + 0.5) / len(rows)
    return [int(pick) for pick in run._compute_greedy_coreset_indices(rows)]


def main():
    paths, columns, wanted = sys.argv[1], int(sys.argv[2]), int(sys.argv[6])
    rows = torch.from_numpy(numpy.fromfile(paths, numpy.float32).reshape(-1, columns))
    matrix = torch.from_numpy(numpy.fromfile(sys.argv[3], numpy.float32).reshape(-1, columns))
    starts = numpy.fromfile(sys.argv[4], numpy.int64).tolist()
    ours = numpy.fromfile(sys.argv[5], numpy.int64)[:wanted].tolist()
    begin = time.process_time()
    with torch.no_grad():
        rows = rows @ matrix.T
        prepared = time.process_time()
        picks = official(rows, starts, wanted, sys.argv[7]) if len(sys.argv) > 7 else select(
            rows, starts, wanted)
    end = time.process_time()
    same = next((i for i, (a, b) in enumerate(zip(picks, ours)) if a != b), len(picks))
    print(prepared - begin, (end - prepared) / wanted, same, len(set(picks) & set(ours)))


main()
