#!/usr/bin/env python3
"""Golden values of RegAD from the authors' code.

    tests/golden/make_regad.py REGAD > tests/golden/regad.csv

REGAD is a checkout of github.com/MediaBrain-SJTU/RegAD: its models/stn.py, models/siamese.py,
losses/norm_loss.py and utils/funcs.py are run. Weights and images are numbers that this script and
the test both compute (`noise`), so nothing has to be stored; images are 64 x 64, for which the first
linear layer of each transformer is made smaller, as the code itself fixes it for 224.

    form,I,NORM,SAMPLES...          an image turned (I from 1) or shifted (I from 9)
    map,I,LARGEST,SAMPLES...        of image I, distances to the Gaussians of two supports in all
                                    their forms, in double precision, upsampled to the image
    loss,STEP,LOSS                  ten steps of SGD with the rate 0.0001 and momentum 0.9, as the
                                    authors' options are, in double precision: in single precision
                                    the code parts from itself after a few steps
    parameter,NAME,NORM,SAMPLES...  after them, running statistics too

Needs torch, numpy and kornia.
"""
import sys
import types
import unittest.mock
import zlib

import numpy
import torch

from formula import noise

SIDE, SAMPLES, QUERIES, SUPPORTS, RATE = 64, 16, 3, 2, 0.0001


def images(first, count):
    """RGB8, rows of pixels; as the code reads them: n x 3 x SIDE x SIDE from 0 to 1."""
    values = [numpy.floor((noise(SIDE * SIDE * 3, 1000 * (first + i)) + 1) * 128) for i in range(count)]
    pixels = numpy.stack(values).reshape(count, SIDE, SIDE, 3).transpose(0, 3, 1, 2)
    return torch.from_numpy(numpy.ascontiguousarray(pixels.astype(numpy.float32) / 255))


def fill(network, prefix):
    """Every tensor from its name: small maps, norms near the identity, transformers that turn a little."""
    for name, value in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        v = noise(value.numel(), zlib.crc32((prefix + name).encode()) % 100000)
        if name.endswith("running_var"):
            v = 1 + 0.5 * v
        elif name.endswith("running_mean"):
            v = 0.1 * v
        elif name.endswith("fc.2.bias"):
            v = numpy.array([0, 1, 1]) + 0.05 * v
        elif name.endswith("fc.2.weight"):
            v = 0.002 * v
        elif name.endswith("bias"):
            v = 0.1 * v
        elif value.dim() == 1:
            v = 1 + 0.1 * v
        else:
            v = v * (3 / value[0].numel()) ** 0.5
        value.copy_(torch.from_numpy(v.reshape(value.shape).astype(numpy.float32)))
    return network


def line(kind, name, value):
    v = value.detach().double().reshape(-1)
    at = [i * (v.numel() - 1) // (SAMPLES - 1) for i in range(SAMPLES)]
    numbers = [v.norm().item()] + [v[i].item() for i in at]
    print(",".join([kind, str(name)] + [f"{n:.9g}" for n in numbers]))


def make_networks(stn, siamese):
    arguments = types.SimpleNamespace(stn_mode="rotation_scale")
    network = stn.ResNet(arguments, stn.BasicBlock, [2, 2, 2, 2])
    for j, places in enumerate((16, 4, 1)):
        module = getattr(network, f"stn{j + 1}")
        module.fc[0] = torch.nn.Linear(16 * places, 1024)
    return [fill(network, "STN."), fill(siamese.Encoder(), "ENC."), fill(siamese.Predictor(), "PRED.")]


def forms(funcs, x):
    """The augmentations of train.py's test(), in its order."""
    pi = numpy.pi
    out = [x]
    for angle in (-pi / 4, -3 * pi / 16, -pi / 8, -pi / 16, pi / 16, pi / 8, 3 * pi / 16, pi / 4):
        out.append(funcs.rot_img(x, angle))
    for a, b in ((0.2, 0.2), (-0.2, 0.2), (-0.2, -0.2), (0.2, -0.2),
                 (0.1, 0.1), (-0.1, 0.1), (-0.1, -0.1), (0.1, -0.1)):
        out.append(funcs.translation_img(x, a, b))
    out.append(funcs.hflip_img(x))
    out.append(funcs.grey_img(x))
    for quarters in (1, 2, 3):
        out.append(funcs.rot90_img(x, quarters))
    return out


def embed(funcs, network, x):
    with torch.no_grad():
        network(x)
    maps = network.stn1_output
    for further in (network.stn2_output, network.stn3_output):
        maps = funcs.embedding_concat(maps, further, False)
    return maps


def main():
    sys.path.insert(0, sys.argv[1])
    # the code asks for a GPU by name
    torch.Tensor.cuda = lambda self, *arguments, **named: self
    torch.Tensor.get_device = lambda self: self.device
    for name in ("torchvision", "torchvision.models", "IPython", "IPython.display", "matplotlib",
                 "matplotlib.pyplot", "PIL", "PIL.Image"):  # imported there, and not used
        sys.modules[name] = unittest.mock.MagicMock()
    from losses import norm_loss
    from models import siamese, stn
    from utils import funcs
    stn_net, encoder, predictor = networks = make_networks(stn, siamese)
    for network in networks:
        network.eval()

    for i, form in enumerate(forms(funcs, images(0, 1))[:17]):
        line("form", i, form)

    tested = images(10, 2)
    supports = embed(funcs, stn_net, torch.cat(forms(funcs, images(0, SUPPORTS)), 0)).double()
    found = embed(funcs, stn_net, tested).double()
    n, channels, height, width = supports.shape
    rows = supports.reshape(n, channels, -1)
    mean = rows.mean(0)
    distance = torch.zeros(2, height * width, dtype=torch.float64)
    for p in range(height * width):
        covariance = torch.cov(rows[:, :, p].T) + 0.01 * torch.eye(channels, dtype=torch.float64)
        delta = found.reshape(2, channels, -1)[:, :, p] - mean[:, p]
        distance[:, p] = (delta * torch.linalg.solve(covariance, delta.T).T).sum(1).sqrt()
    maps = torch.nn.functional.interpolate(distance.reshape(2, 1, height, width), size=SIDE,
                                           mode="bilinear", align_corners=False)
    for i in range(2):
        print(",".join(["map", str(i), f"{maps[i].max().item():.9g}"] +
                       [f"{maps[i].reshape(-1)[k * (SIDE * SIDE - 1) // (SAMPLES - 1)].item():.9g}"
                        for k in range(SAMPLES)]))

    # the code makes its matrices in single precision by name
    zeros = torch.zeros
    torch.zeros = lambda *shape, dtype=None, **named: zeros(*shape, **named)
    torch.set_default_dtype(torch.float64)
    for network in networks:
        network.double().train()
    optimizers = [torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9) for network in networks]
    query, support = images(20, QUERIES).double(), images(30, QUERIES * SUPPORTS).double()
    for step in range(10):
        for optimizer in optimizers:
            optimizer.zero_grad()
        # train.py's train()
        query_features = stn_net(query)
        support_features = stn_net(support) / SUPPORTS
        support_features = support_features.view(QUERIES, SUPPORTS, *support_features.shape[1:]).sum(1)
        z1, z2 = encoder(query_features), encoder(support_features)
        p1, p2 = predictor(z1), predictor(z2)
        loss = norm_loss.CosLoss(p1, z2, Mean=True) / 2 + norm_loss.CosLoss(p2, z1, Mean=True) / 2
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        print(f"loss,{step},{loss.item():.9g}")
    for prefix, network in zip(("STN.", "ENC.", "PRED."), networks):
        for name, value in network.state_dict().items():
            unused = prefix == "ENC." and name.startswith("bn3") or name.endswith("num_batches_tracked")
            if not unused:
                line("parameter", prefix + name, value)


if __name__ == "__main__":
    main()
