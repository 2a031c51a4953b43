#!/usr/bin/env python3
"""EfficientAD's public code from libimiad's first parameters, on procedural images.

    tests/golden/make_efficientad.py EFFICIENTAD > tests/golden/efficientad.csv

EFFICIENTAD is a checkout of github.com/nelson1425/EfficientAD at fcab514. Its networks (common.py), its
normalisation, maps and quantiles (efficientad.py) and its target of distillation (pretraining.py) run as they
are; the losses of its main program are written out below, for they stand in no function. Where networks are small,
its common.py is read with a sixteenth of the channels and the sizes of an image of 64 pixels, as anomalib gives them.

Cases: `whole`, outputs of the networks at their own size on an image of 256 pixels; `steps` and `silent`, with
and without penalty images: the terms of the first loss, gradients, ten steps of Adam, the maps after them, in double precision, with the
code's own single precision as `spread`; `target`, what a layer of 5 and one of 7 channels become; `distil`,
twenty steps of a padded network towards an injected target.
First parameters are libimiad's random streams, computed here once more. Needs torch, torchvision, numpy, scikit-learn,
tifffile and tqdm.
"""
import os
import sys
import types

import numpy
import torch
from torch import nn

from make_rd4ad import uniform
from make_stpm import sample

SEED, STEPS, LESSONS, SIDE, OUTPUTS, TIMES = 66, 10, 20, 64, 24, 16
RATE, DECAY, HARD = 1e-4, 1e-5, 0.999
SIZES = {3: 1, 8: 2, 15: 3, 32: 8, 63: 15, 127: 31, 56: 8}  # of the upsampled maps, at 256 and at 64


def load(folder, name, **known):
    module = types.ModuleType(name)
    with open(os.path.join(folder, name + ".py")) as file:
        source = file.read()
    module.__dict__.update(known)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def small_common(common):
    """The same functions with small layers."""
    def conv(in_channels, out_channels, kernel_size, **more):
        least = [c if c in (3, OUTPUTS, 2 * OUTPUTS) else c // TIMES for c in (in_channels, out_channels)]
        return nn.Conv2d(*least, kernel_size=2 if kernel_size == 8 else kernel_size, **more)

    def upsample(size, mode):
        return nn.Upsample(size=SIZES[size], mode=mode)
    small = types.SimpleNamespace(**{name: getattr(common, name) for name in dir(common) if "get_" in name})
    for name in ("get_autoencoder", "get_pdn_small", "get_pdn_medium"):
        function = getattr(common, name)
        shim = types.SimpleNamespace(**{k: getattr(nn, k) for k in ("Sequential", "ReLU", "AvgPool2d", "Dropout")},
                                     Conv2d=conv, Upsample=upsample)
        setattr(small, name, types.FunctionType(function.__code__, {"nn": shim}, name, function.__defaults__))
    return small


def begin(network, part, type=torch.float32):
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            shape, purpose = tuple(module.weight.shape), f"efficientad/{part}/{name}"
            bound = (shape[1] * shape[2] * shape[3]) ** -0.5
            module.weight.data = uniform(SEED, purpose + ".weight", shape, bound)
            module.bias.data = uniform(SEED, purpose + ".bias", shape[:1], bound)
        elif isinstance(module, nn.Dropout):
            module.p = 0.0
    return network.to(type)


def wave(shape, phase, type):
    count = int(numpy.prod(shape))
    values = 1 + numpy.sin(0.37 * numpy.arange(count, dtype=numpy.float64) + phase)
    return torch.from_numpy(values.reshape(shape)).to(type)


def lines_of(case, kind, name, values):
    found, norm = sample(values)
    return (f"{kind},{case},{name}", [norm] + found)


def whole(common):
    """On an image of 256 pixels; the medium network, which is large, on its first 64."""
    image, out = wave((1, 3, 256, 256), 0, torch.float32), []
    with torch.no_grad():
        for name, make, x in (("small", lambda: common.get_pdn_small(384), image),
                              ("small_padded", lambda: common.get_pdn_small(384, True), image[:, :, :64, :64]),
                              ("medium", lambda: common.get_pdn_medium(384), image[:, :, :64, :64]),
                              ("medium_padded", lambda: common.get_pdn_medium(384, True), image[:, :, :64, :64])):
            out.append(lines_of("whole", "output", name, begin(make(), "teacher").eval()(x)))
        autoencoder = begin(common.get_autoencoder(384), "autoencoder").eval()
        out.append(lines_of("whole", "output", "autoencoder", autoencoder(image)))
    return out


def losses(networks, statistics, images, penalised):
    teacher, student, autoencoder = networks
    plain, changed, foreign = images
    mean, deviation = statistics
    with torch.no_grad():
        wanted = (teacher(plain) - mean) / deviation
    squares = (wanted - student(plain)[:, :OUTPUTS]) ** 2
    least = torch.quantile(squares, q=HARD)
    terms = [torch.mean(squares[squares >= least])]
    if penalised:
        terms.append(torch.mean(student(foreign)[:, :OUTPUTS] ** 2))
    given = autoencoder(changed)
    with torch.no_grad():
        answer = (teacher(changed) - mean) / deviation
    terms.append(torch.mean((answer - given) ** 2))
    terms.append(torch.mean((given - student(changed)[:, OUTPUTS:]) ** 2))
    return terms


def train(case, small, program, type):
    """Everything that is compared: name of the line, its values."""
    penalised, out = case == "steps", []
    medium = not penalised
    pdn = small.get_pdn_medium if medium else small.get_pdn_small
    networks = (begin(pdn(OUTPUTS), "teacher", type), begin(pdn(2 * OUTPUTS), "student", type),
                begin(small.get_autoencoder(OUTPUTS), "autoencoder", type))
    program.out_channels = OUTPUTS
    normal = [(wave((1, 3, SIDE, SIDE), phase, type), None) for phase in (0, 3, 5)]
    statistics = program.teacher_normalization(networks[0], normal)
    out += [lines_of(case, "output", name, value) for name, value in zip(("mean", "deviation"), statistics)]
    images = [wave((2, 3, SIDE, SIDE), phase, type) for phase in (0, 1, 2)]
    learned = [p for n in networks[1:] for p in n.parameters()]
    adam = torch.optim.Adam(learned, lr=RATE, weight_decay=DECAY)
    for step in range(STEPS):
        terms = losses(networks, statistics, images, penalised)
        loss = sum(terms)
        if step == 0:
            out += [(f"term,{case},{i}", [t.item()]) for i, t in enumerate(terms)]
        out.append((f"loss,{case},{step}", [loss.item()]))
        adam.zero_grad()
        loss.backward()
        if step == 0:
            out += [lines_of(case, "gradient", f"{part}.{name}", p.grad)
                    for part, n in zip(("student", "autoencoder"), networks[1:])
                    for name, p in n.named_parameters() if p.dim() == 4]
        adam.step()
        if step in (0, STEPS - 1):
            kind = "first" if step == 0 else "parameter"
            out += [lines_of(case, kind, f"{part}.{name}", p)
                    for part, n in zip(("student", "autoencoder"), networks[1:])
                    for name, p in n.named_parameters() if p.dim() == 4]
    known = dict(teacher=networks[0], student=networks[1], autoencoder=networks[2],
                 teacher_mean=statistics[0], teacher_std=statistics[1])
    q = program.map_normalization(validation_loader=normal[1:], **known)
    out.append((f"quantiles,{case},0", [float(v) for v in q]))
    image = wave((1, 3, SIDE, SIDE), 7, type)
    both, first, second = program.predict(image=image, q_st_start=q[0], q_st_end=q[1], q_ae_start=q[2],
                                          q_ae_end=q[3], **known)
    out += [lines_of(case, "maps", name, m) for name, m in (("st", first), ("ae", second), ("both", both))]
    padded = nn.functional.interpolate(nn.functional.pad(both, (4, 4, 4, 4)), (SIDE, SIDE), mode="bilinear")
    out.append((f"finished,{case},0", [float(padded.max())] + lines_of(case, "", "", padded)[1]))
    return out


def target(program):
    """PatchCore's embedding of two layers as the code makes its targets."""
    patches = program.PatchMaker(3, stride=1)
    first, second = wave((1, 5, 8, 8), 0, torch.float32), wave((1, 7, 4, 4), 1, torch.float32)
    extractor = program.FeatureExtractor.__new__(program.FeatureExtractor)
    nn.Module.__init__(extractor)
    extractor.patch_maker, extractor.layers_to_extract_from = patches, ["a", "b"]

    class Features(nn.Module):
        def forward(self, images):
            return {"a": first, "b": second}
    extractor.forward_modules = nn.ModuleDict({"feature_aggregator": Features(),
                                               "preprocessing": program.Preprocessing([5, 7], 1024),
                                               "preadapt_aggregator": program.Aggregator(target_dim=OUTPUTS)})
    reshape, torch.reshape = torch.reshape, lambda x, shape: reshape(x, (-1, 8, 8, OUTPUTS))
    program.out_channels = OUTPUTS
    out = [lines_of("target", "output", "embedding", extractor.embed(None).contiguous())]
    torch.reshape = reshape
    return out


def distil(small, type):
    network = begin(small.get_pdn_small(OUTPUTS, True), "teacher", type)
    positions = SIDE // 4
    image, wanted = wave((2, 3, SIDE, SIDE), 0, type), wave((2, OUTPUTS, positions, positions), 1, type)
    adam, out = torch.optim.Adam(network.parameters(), lr=RATE, weight_decay=DECAY), []
    for step in range(LESSONS):
        loss = torch.mean((wanted - network(image)) ** 2)
        out.append((f"loss,distil,{step}", [loss.item()]))
        adam.zero_grad()
        loss.backward()
        adam.step()
    return out


def spread(exact, single, kind):
    worst = 0
    for (name, wanted), (_, found) in zip(exact, single):
        if name.startswith(kind + ","):
            worst = max(worst, max(abs(a - b) for a, b in zip(wanted, found)) / max(map(abs, wanted)))
    return worst


def main():
    folder = sys.argv[1]
    common = load(folder, "common")
    sys.modules["common"] = common
    program = load(folder, "efficientad")
    program.tqdm = lambda x, **_: x
    pretraining = load(folder, "pretraining")
    small = small_common(common)
    for name, values in whole(common) + target(pretraining) + distil(small, torch.float64):
        print(",".join([name] + [f"{v:.12g}" for v in values]))
    for case in ("steps", "silent"):
        exact, single = (train(case, small, program, type) for type in (torch.float64, torch.float32))
        for name, values in exact:
            print(",".join([name] + [f"{v:.12g}" for v in values]))
        for kind, of in (("loss", "losses"), ("gradient", "gradients"), ("parameter", "parameters"), ("maps", "maps")):
            print(f"spread,{case},{of},{spread(exact, single, kind):.9g}")


if __name__ == "__main__":
    main()
