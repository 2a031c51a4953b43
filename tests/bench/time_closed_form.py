"""PaDiM, SPADE, SoftPatch, SubspaceAD and PatchCore in Python, on what bench_closed_form.c left in a folder.

    time_closed_form.py FOLDER DETECTOR BACKBONE TRAIN SIZE THREADS [OFFICIAL]

FOLDER/images holds RGB bytes, TRAIN images to learn from and then those to score; FOLDER/detector
the backbone's weights, FOLDER/scores what libimiad gave: each image's score and its map's maximum.
PaDiM and SPADE are the formulas of their widespread PyTorch implementations in the way these
compute them: PaDiM with numpy.cov and an inverse a position, and scipy's mahalanobis a position and
image; SPADE with the differences to 100 gallery features at a time, of a few images only because
that takes long, and again with torch.cdist for all, in float32 and in double: where many rows meet,
cdist measures by |a|^2 - 2ab + |b|^2, which in float32 is too coarse to hold scores against. SoftPatch is the official code from the folder
OFFICIAL, its random draws replaced by libimiad's (tests/golden/make_softpatch.py), and so are
SubspaceAD's components, scores and maps, on the features of the network above. PatchCore is the
official code with faiss, which takes the library's coreset in place of its own; its squared distances
are compared with the squares of the library's. An EfficientNet is timm's, with weights and bias of
the library's folded convolutions, and its batch norms as a factor of one.

Prints seconds of processor time, and how far scores and maps differ. Ends in 1 where they differ
too far to be the same computation; in 0, after a line that says so, where a module is missing.
"""
import os
import sys

THREADS = int(sys.argv[6])
for library in "OMP", "OPENBLAS", "MKL":
    os.environ[library + "_NUM_THREADS"] = str(THREADS)

import resource
import time


def leave_out(reason):
    print(f"  no reference: {reason}")
    sys.exit(0)


try:
    import numpy
    import torch
    import torch.nn.functional as F
    import torchvision
    from scipy.ndimage import gaussian_filter
    from scipy.spatial.distance import mahalanobis
except ImportError as missing:
    leave_out(missing)

import peer_blas

try:
    peer_blas.require()
except SystemExit as reason:
    leave_out(reason)

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "golden"))
from compare_features import read_safetensors

# The largest relative difference of a score or map's maximum between two that compute the same.
# SoftPatch: two correct runs on MVTec AD came to differ by 12 % (docs/detectors/softpatch.md).
ROUNDING = 1e-3, "both round to float32"
TIES = 0.2, "rounding decides which of two equally far patches joins the coreset"
LIMITS = {"padim": ROUNDING, "spade": ROUNDING, "softpatch": TIES, "subspacead": ROUNDING,
          "patchcore": ROUNDING}
NEIGHBOURS, FEW, CHUNK = 5, 1, 100
MEAN, STD = (numpy.array(v, numpy.float32) for v in ((.485, .456, .406), (.229, .224, .225)))
EFFICIENTNET_MEAN, EFFICIENTNET_STD = 127 / 255, 128 / 255


def seconds():
    return time.process_time()


def megabytes(resident=False):
    if resident:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() // 10**6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // 10**6


class Stages(torch.nn.Module):
    """timm's EfficientNet with its stages called as torchvision calls a ResNet's."""

    def __init__(self, network):
        super().__init__()
        blocks = network.blocks
        self.conv1, self.bn1, self.relu, self.maxpool = network.conv_stem, network.bn1, *[torch.nn.Identity()] * 2
        self.layer1 = torch.nn.Sequential(*blocks[:2])
        self.layer2 = blocks[2]
        self.layer3 = torch.nn.Sequential(*blocks[3:5])
        self.layer4 = torch.nn.Sequential(*blocks[5:])

    def forward(self, x):
        return self.layer4(self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x))))))


def create_network(backbone):
    if hasattr(torchvision.models, backbone):
        return getattr(torchvision.models, backbone)()
    import timm
    return timm.create_model("tf_" + backbone)


def read_network(folder, backbone):
    """The network with the folded convolutions of the file; the rest stays as it is."""
    network = create_network(backbone)
    weights = read_safetensors(os.path.join(folder, "detector"))
    for name, value in weights.items():
        parts = name.split(".")
        if parts[0] != "backbone":
            continue
        module = network
        for part in parts[1:-1]:
            module = getattr(module, part)
        if isinstance(module, torch.nn.Conv2d):
            setattr(module, parts[-1], torch.nn.Parameter(value))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0
    network = Stages(network) if hasattr(network, "conv_stem") else network
    return network.eval().requires_grad_(False), weights


def read_images(folder, size, mean, std):
    images = numpy.fromfile(os.path.join(folder, "images"), numpy.uint8)
    images = images.reshape(-1, size, size, 3).astype(numpy.float32) / 255
    return torch.from_numpy(((images - mean) / std).transpose(0, 3, 1, 2).copy())


def features(network, images, layers, together=8):
    """Lists a layer; what the backbone took."""
    out = {layer: [] for layer in layers}
    handles = [getattr(network, layer).register_forward_hook(
        lambda module, inputs, value, layer=layer: out[layer].append(value)) for layer in layers]
    begin = seconds()
    for batch in images.split(together):
        x = network.maxpool(network.relu(network.bn1(network.conv1(batch))))
        for layer in ("layer1", "layer2", "layer3", "layer4"):
            if layer <= max(layers):
                x = getattr(network, layer)(x)
    took = seconds() - begin
    for handle in handles:
        handle.remove()
    return {layer: torch.cat(values) for layer, values in out.items()}, took


def finish(maps, size):
    maps = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)[:, 0].numpy()
    return numpy.stack([gaussian_filter(m, sigma=4) for m in maps])


# ---- PaDiM ----

def padim_embed(levels, channels):
    first = levels["layer1"]
    parts = [first] + [F.interpolate(levels[layer], size=first.shape[2:], mode="nearest")
                       for layer in ("layer2", "layer3")]
    chosen = torch.cat(parts, 1)[:, channels]
    return chosen.flatten(2).numpy(), first.shape[2:]


def padim(network, images, train, size):
    channels = list(range(448))
    if network.layer1[-1].conv2.in_channels != 64:
        channels = [i * 1792 // 550 for i in range(550)]
    layers = ("layer1", "layer2", "layer3")
    learned, backbone_fit = features(network, images[:train], layers)
    begin = seconds()
    rows, grid = padim_embed(learned, channels)
    del learned
    mean = rows.mean(0)
    covariance = numpy.empty((rows.shape[1], rows.shape[1], rows.shape[2]), numpy.float32)
    for p in range(rows.shape[2]):
        covariance[:, :, p] = numpy.cov(rows[:, :, p], rowvar=False) + 0.01 * numpy.eye(len(mean))
    fit = seconds() - begin
    asked, backbone_score = features(network, images[train:], layers)
    begin = seconds()
    rows, grid = padim_embed(asked, channels)
    distances = numpy.empty((len(rows), rows.shape[2]), numpy.float32)
    for p in range(rows.shape[2]):
        inverse = numpy.linalg.inv(covariance[:, :, p])
        for i in range(len(rows)):
            distances[i, p] = mahalanobis(rows[i, :, p], mean[:, p], inverse)
    maps = finish(torch.from_numpy(distances.reshape(-1, 1, *grid)), size)
    score = (seconds() - begin) / len(rows)
    report("the widespread form", fit, backbone_fit, score, backbone_score / len(rows))
    tops = maps.max((1, 2))
    return tops, [tops]


# ---- SPADE ----

def by_differences(gallery, query):
    """The nearest of all gallery features at each position, the differences written out."""
    gallery = gallery.permute(0, 3, 2, 1).flatten(0, 2)[:, :, None, None]
    distances = [torch.linalg.vector_norm(query - part + 1e-6, dim=1)
                 for part in gallery.split(CHUNK)]
    return torch.cat(distances).min(0)[0]


def by_cdist(gallery, query):
    gallery = gallery.permute(0, 2, 3, 1).flatten(0, 2)
    nearest = torch.cdist(query[0].flatten(1).T, gallery).min(1)[0]
    return nearest.reshape(query.shape[2:])


def by_double_cdist(gallery, query):
    return by_cdist(gallery.double(), query.double()).float()


def spade_maps(method, learned, asked, nearest, images, size):
    maps = []
    for i in images:
        levels = [F.interpolate(method(learned[layer][nearest[i]], asked[layer][i:i + 1])[None, None],
                                size=size, mode="bilinear", align_corners=False)
                  for layer in ("layer1", "layer2", "layer3")]
        maps.append(gaussian_filter(torch.cat(levels).mean(0)[0].numpy(), sigma=4))
    return maps


def spade(network, images, train, size, last):
    layers = ["layer1", "layer2", "layer3"] + (["layer4"] if last == "layer4" else [])
    learned, backbone_fit = features(network, images[:train], layers)
    asked, backbone_score = features(network, images[train:], layers)
    count = len(images) - train
    begin = seconds()
    pooled, queries = (levels[last].mean((2, 3)) for levels in (learned, asked))
    distances = torch.cdist(queries.double(), pooled.double())
    values, nearest = distances.topk(NEIGHBOURS, dim=1, largest=False)
    image_seconds = (seconds() - begin) / count
    tops = []
    for title, method, some in (("differences, %d image" % FEW, by_differences, range(FEW)),
                                ("torch.cdist", by_cdist, range(count)),
                                ("torch.cdist in double", by_double_cdist, range(count))):
        begin = seconds()
        maps = spade_maps(method, learned, asked, nearest, some, size)
        took = (seconds() - begin) / len(some) + image_seconds
        report(title, 0, backbone_fit, took, backbone_score / count)
        if method != by_cdist:
            tops.append([m.max() for m in maps])
    return values.mean(1).numpy(), tops


# ---- SoftPatch ----

def softpatch(network, images, train, size, official):
    try:
        import make_softpatch
        common, sampler, code = make_softpatch.import_official(official)
    except ImportError as missing:
        leave_out(missing)
    cpu, shape = torch.device("cpu"), (3, size, size)
    model = code.SoftPatch(cpu)
    model.load(backbone=network, device=cpu, input_shape=shape,
               layers_to_extract_from=("layer2", "layer3"),
               featuresampler=sampler.ApproximateGreedyCoresetSampler(0.1, cpu),
               nn_method=common.FaissNN(False, THREADS), lof_k=6)
    spent = [0.0]
    aggregate = model.forward_modules["feature_aggregator"].forward

    def timed(batch):
        begin = seconds()
        out = aggregate(batch)
        spent[0] += seconds() - begin
        return out

    model.forward_modules["feature_aggregator"].forward = timed
    begin = seconds()
    with make_softpatch.Draws():
        model.fit([batch for batch in images[:train].split(8)])
    fit, backbone_fit = seconds() - begin, spent[0]
    spent[0], begin, count = 0.0, seconds(), len(images) - train
    found = [model._predict(image[None]) for image in images[train:]]
    score = (seconds() - begin - spent[0]) / count
    report("the official code", fit - backbone_fit, backbone_fit, score, spent[0] / count)
    return [float(scores[0]) for scores, _ in found], [[maps[0].max() for _, maps in found]]


# ---- SubspaceAD ----

def subspacead(network, images, train, size, official):
    sys.path.insert(0, official)
    try:
        from subspacead.core.pca import PCAModel
        from subspacead.post_process import scoring
    except ImportError as missing:
        leave_out(missing)
    layers = ("layer2", "layer3")

    def tokens(levels):
        coarse = F.interpolate(levels["layer3"], size=levels["layer2"].shape[2:], mode="bilinear",
                               align_corners=False)
        together = torch.cat([levels["layer2"], coarse], 1)
        return together.permute(0, 2, 3, 1).contiguous().numpy()

    learned, backbone_fit = features(network, images[:train], layers)
    begin = seconds()
    rows = tokens(learned)
    grid, columns = rows.shape[1:3], rows.shape[3]
    pca = PCAModel(ev=0.99).fit(lambda: (image.reshape(-1, columns) for image in rows), columns,
                                rows.size // columns, train)
    fit = seconds() - begin
    asked, backbone_score = features(network, images[train:], layers, 1)
    begin = seconds()
    maps = [scoring.post_process_map(scoring.calculate_anomaly_scores(
        image.reshape(-1, columns), pca, "reconstruction").reshape(grid), size)
        for image in tokens(asked)]
    found = [scoring.aggregate_image_score(m, "mtop1p") for m in maps]
    score = (seconds() - begin) / len(maps)
    report("the official code", fit, backbone_fit, score, backbone_score / len(maps))
    return found, [[m.max() for m in maps]]


# ---- PatchCore ----

def patchcore(network, images, train, size, official, bank):
    sys.path.insert(0, official)
    try:
        from patchcore import common, patchcore as code
    except ImportError as missing:
        leave_out(missing)
    cpu = torch.device("cpu")
    model = code.PatchCore(cpu)
    model.load(backbone=network, layers_to_extract_from=("layer2", "layer3"), device=cpu,
               input_shape=(3, size, size), pretrain_embed_dimension=1024, target_embed_dimension=1024,
               nn_method=common.FaissNN(False, THREADS))
    model.anomaly_scorer.fit(detection_features=[bank.numpy()])
    spent, aggregator = [0.0], model.forward_modules["feature_aggregator"]
    aggregate = aggregator.forward

    def timed(batch):
        begin = seconds()
        out = aggregate(batch)
        spent[0] += seconds() - begin
        return out

    aggregator.forward = timed
    begin, count = seconds(), len(images) - train
    found = [model._predict(image[None]) for image in images[train:]]
    score = (seconds() - begin - spent[0]) / count
    report("the official code, not fitted", 0, 0, score, spent[0] / count)
    return [float(scores[0]) for scores, _ in found], [[maps[0].max() for _, maps in found]]


def report(title, fit, backbone_fit, score, backbone_score):
    print(f"  {title}: fit {fit:.2f} s beside the backbone's {backbone_fit:.2f}; an image and its map "
          f"{score:.4f} s, beside the backbone's {backbone_score:.3f}; {megabytes() - BEFORE} MB "
          f"above {BEFORE}", flush=True)


def compare(detector, ours, scores, tops):
    """`ours` are rows of a score and a map's maximum; `tops` lists of the latter, of all images or
    the first ones."""
    score = largest_difference(ours[:, 0], scores)
    top = numpy.max([largest_difference(ours[:, 1], some) for some in tops])
    limit, reason = LIMITS[detector]
    print(f"  largest relative difference of an image's score {score:.1e}, of a map's maximum "
          f"{top:.1e}; allowed {limit:g}: {reason}", flush=True)
    if not (score <= limit and top <= limit):
        sys.exit(f"  {detector} and its reference differ by more: their times say nothing")


def largest_difference(ours, theirs):
    return numpy.abs(ours[:len(theirs)] / numpy.array(theirs) - 1).max()


def main():
    folder, detector, backbone, train, size = sys.argv[1:6]
    if detector in ("softpatch", "subspacead", "patchcore") and len(sys.argv) < 8:
        leave_out(f"IMIAD_{detector.upper()} is not set")
    torch.set_num_threads(THREADS)
    train, size = int(train), int(size)
    network, weights = read_network(folder, backbone)
    standard = (EFFICIENTNET_MEAN, EFFICIENTNET_STD) if isinstance(network, Stages) else (MEAN, STD)
    images = read_images(folder, size, *standard)
    global BEFORE
    BEFORE = megabytes(resident=True)
    if detector == "padim":
        scores, tops = padim(network, images, train, size)
    elif detector == "spade":
        last = "layer4" if any(".layer4." in name for name in weights) else "layer3"
        scores, tops = spade(network, images, train, size, last)
    elif detector == "patchcore":
        scores, tops = patchcore(network, images, train, size, sys.argv[7], weights["bank"])
    else:
        method = softpatch if detector == "softpatch" else subspacead
        scores, tops = method(network, images, train, size, sys.argv[7])
    compare(detector, numpy.loadtxt(os.path.join(folder, "scores"), ndmin=2), scores, tops)


if __name__ == "__main__":
    with torch.no_grad():
        main()
