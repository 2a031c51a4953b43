#!/usr/bin/env python3
"""Golden values of MH-PatchCore from the authors' code.

    tests/golden/make_mh_patchcore.py MH_PATCHCORE > tests/golden/mh_patchcore.csv

MH_PATCHCORE is a checkout of github.com/NickF93/MH-PatchCore (fecde8b). Its incremental principal
components, its streaming covariance with shrinkage and Cholesky factor, its k-center memory and its
scores are run on rows that this script and tests/detectors/test_mh_patchcore.c both compute
(`noise`): BATCHES of 60 rows with 24 values to learn from, 2 images of 5 x 6 to score.

    kept,COUNT                          components
    square,VALUES                       squared distances of the rows to score to the first one, whitened
    rows,LOCAL,TOTAL,BATCHES,COUNT,NORM bank of so many batches, whitened
    bank,LOCAL,TOTAL,BATCHES,INDICES    which of all rows they are, the first 64
    patch,VALUES                        of the last bank
    map,IMAGE,NORM,SAMPLES              at 40 x 48, finished
    score,IMAGE,VALUE

Needs torch, numpy, scipy, scikit-learn.
"""
import importlib
import sys
import types

import numpy

from formula import noise

BATCH, CHANNELS, RANK, BATCHES, HEIGHT, WIDTH, IMAGES = 60, 24, 9, 15, 5, 6, 2
MAP = (40, 48)
BANKS = [(10, 25, b) for b in (1, 2, 3, 7, 8, 15)] + [(25, 25, 15)]


def rows(count, seed):
    within = noise(count * RANK, seed).reshape(count, RANK) / (1 + numpy.arange(RANK))
    directions = noise(RANK * CHANNELS, 2).reshape(RANK, CHANNELS)
    beside = 0.02 * noise(count * CHANNELS, seed + 1).reshape(count, CHANNELS)
    return (within @ directions + beside + 3 * noise(CHANNELS, 4)).astype(numpy.float32)


def line(*fields):
    print(",".join(f if isinstance(f, str) else f"{f:.9g}" for f in fields))


def whiten(code, train):
    pca = code.pca.StreamingIncrementalPCAReductionStrategy(0.99)
    for batch in train:
        pca.update(batch.astype(numpy.float64))
    pca.finalize()
    covariance = code.streaming.StreamingCovariance(
        num_features=pca.output_dimension, dtype=code.torch.float64, device="cpu")
    for batch in train:
        covariance.update(code.torch.from_numpy(pca.transform(batch.astype(numpy.float64))))
    settings = code.math.validate_covariance_regularization_settings(
        code.math.CovarianceRegularizationSettings(
            enabled=True, method="FIXED", shrinkage=0.07, eigen_floor_ratio=1e-8, min_jitter=1e-12,
            max_jitter=1.0, jitter_multiplier=10.0))
    found = code.math.regularize_covariance(
        covariance.covariance(), int(covariance.count), settings, "golden")
    factor = code.math.compute_stable_cholesky(found.covariance, "golden", settings)
    line("kept", str(pca.output_dimension))
    return lambda x: code.math.apply_mahalanobis_transform(
        pca.transform(x.astype(numpy.float64)), covariance.mean, factor, "golden")


def find_bank(code, batches, local, total):
    memory = code.kcenter.StreamingKCenterAggregationStrategy(
        total, mode="merge_reduce", chunk_coreset_size=local)
    for batch in batches:
        memory.update(batch)
    everything = numpy.concatenate(batches)
    found = memory.get_centroids()
    places = [int(numpy.abs(everything - row).sum(1).argmin()) for row in found]
    name = [str(local), str(total), str(len(batches))]
    line("rows", *name, str(len(found)), float(numpy.linalg.norm(found)))
    line("bank", *name, *[str(p) for p in places[:64]])
    return found


def score(code, bank, queries):
    bank, queries = bank.astype(numpy.float32), queries.astype(numpy.float32)
    squares = ((queries[:, None].astype(float) - bank[None].astype(float)) ** 2).sum(2)
    nearest = squares.argmin(1)[:, None]
    line("patch", *squares.min(1).tolist())

    def search(n_nearest_neighbours, query_features, index_features):
        apart = ((query_features[:, None].astype(float) - index_features[None]) ** 2).sum(2)
        order = apart.argsort(1, kind="stable")[:, :n_nearest_neighbours]
        return numpy.take_along_axis(apart, order, 1), order
    maker = types.SimpleNamespace(unpatch_scores=lambda x, batchsize: x.reshape(batchsize, -1))
    scorer = types.SimpleNamespace(detection_features=bank, nn_method=types.SimpleNamespace(run=search))
    found = code.scoring.compute_paper_eq7_image_scores(
        patch_maker=maker, anomaly_scorer=scorer, paper_reweight_num_nn=9, features=queries,
        query_distances=numpy.take_along_axis(squares, nearest, 1).astype(numpy.float32),
        query_nns=nearest, batchsize=IMAGES)
    grid = squares.min(1).astype(numpy.float32).reshape(IMAGES, HEIGHT, WIDTH)
    maps = code.scoring.RescaleSegmentor(device="cpu", target_size=MAP).convert_to_segmentation(grid)
    for i in range(IMAGES):
        line("map", str(i), float(numpy.linalg.norm(maps[i])), *maps[i].ravel()[::97].tolist())
        line("score", str(i), float(found[i]))


def import_code(path):
    sys.path.insert(0, path)
    import torch
    base = "mhpc.core.plugins."
    get = lambda name: importlib.import_module(base + name)
    return types.SimpleNamespace(
        torch=torch, pca=get("feature_agg.ipca.strategy"), math=get("transform.cholesky.math"),
        streaming=get("transform.cholesky.streaming_covariance"),
        kcenter=get("mem_agg.kcenter.strategy"), scoring=get("scoring.paper_eq7.runtime"))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    code = import_code(sys.argv[1])
    train = [rows(BATCH, 100 + 10 * i) for i in range(BATCHES)]
    whitened = whiten(code, train)
    queries = whitened(rows(IMAGES * HEIGHT * WIDTH, 5000))
    line("square", *((queries - queries[0]) ** 2).sum(1)[1:].tolist())
    batches = [whitened(batch) for batch in train]
    for local, total, count in BANKS:
        bank = find_bank(code, batches[:count], local, total)
    score(code, bank, queries)


if __name__ == "__main__":
    main()
