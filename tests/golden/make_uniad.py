#!/usr/bin/env python3
"""Golden values of UniAD from the authors' code.

    tests/golden/make_uniad.py UNIAD > tests/golden/uniad.csv

UNIAD is a checkout of github.com/zhiyuanyou/UniAD: its models/reconstructions/uniad.py, its loss and
its image score are run on a small transformer (32 values, 4 heads, 2 layers each) over 14 x 14
features of 64 channels. Weights and features are numbers that this script and the test both compute
(`noise`), the jitter is libimiad's random stream.

    masked,mask,POSITIONS,COUNT          positions that do not see so many others
    encoder,eval,out,NORM,SAMPLES...     in evaluation mode, positions x images x values
    reconstruction,eval,out,NORM,SAMPLES...
    map,eval,out,NORM,SAMPLES...         at 224 x 224
    scores,eval,NAME,VALUES              of two images, by max, std and mean
    loss,steps,STEP,LOSS                 ten steps without dropout, in double precision
    norm,steps,STEP,NORM                 of the gradients, before they are scaled down to 0.1
    gradient,steps,NAME,NORM,SAMPLES...  of the first step, before that
    parameter,steps,NAME,NORM,SAMPLES... after the last
    spread,steps,WHAT,SPREAD             how far the code in single precision lies from that

Needs torch, numpy and einops.
"""
import collections
import importlib.util
import sys
import types
import unittest.mock
import zlib

import numpy
import torch

for _part in ("", ".transforms"):  # imported on the way, and not used here
    sys.modules["torchvision" + _part] = unittest.mock.MagicMock()

from make_draem import spread
from make_stpm import normal, sample
from formula import noise

SEED, STEPS, IMAGES, GRID, CHANNELS, HIDDEN = 66, 10, 2, 14, 64, 32
torch.Tensor.cuda = lambda self, *arguments, **named: self  # the code asks for a GPU by name


def features(first, type):
    count = CHANNELS * GRID * GRID
    values = [1 + noise(count, 1000 * (first + i)) for i in range(IMAGES)]
    return torch.from_numpy(numpy.stack(values).reshape(IMAGES, CHANNELS, GRID, GRID)).to(type)


def fill(network):
    """Every tensor from its name, in single precision."""
    for name, value in network.state_dict().items():
        v = noise(value.numel(), zlib.crc32(name.encode()) % 100000)
        if "embed" in name:
            v = 0.5 * v
        elif name.endswith("bias"):
            v = 0.1 * v
        elif value.dim() == 1:
            v = 1 + 0.1 * v
        else:
            v = v * (3 / value[0].numel()) ** 0.5
        value.copy_(torch.from_numpy(v.astype(numpy.float32)).reshape(value.shape))
    return network


def line(kind, case, name, values):
    print(",".join([kind, case, str(name)] + [f"{v:.12g}" for v in values]))


def summary(value):
    return [float(value.double().norm())] + sample(value)[0]


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def make(uniad, dropout, type):
    named = types.SimpleNamespace
    network = uniad.UniAD(
        inplanes=[CHANNELS], instrides=[16], feature_size=(GRID, GRID),
        feature_jitter=named(scale=20.0, prob=1.0),
        neighbor_mask=named(neighbor_size=(7, 7), mask=(True, True, True)), hidden_dim=HIDDEN,
        pos_embed_type="learned", save_recon=None, initializer={"method": "xavier_uniform"}, nhead=4,
        num_encoder_layers=2, num_decoder_layers=2, dim_feedforward=48, dropout=dropout,
        activation="relu", normalize_before=False)
    with torch.no_grad():
        return fill(network).to(type)


def evaluate(uniad, scores):
    network = make(uniad, 0.1, torch.float64).eval()
    mask = network.transformer.generate_mask((GRID, GRID), (7, 7))
    for count, positions in sorted(collections.Counter(torch.isinf(mask).sum(1).tolist()).items()):
        line("masked", "mask", positions, [count])
    seen = {}
    network.transformer.encoder.register_forward_hook(lambda _, __, out: seen.update(out=out))
    # the mask is made in single precision, as the code has it
    network.transformer.generate_mask = lambda *_: mask.double()
    with torch.no_grad():
        out = network({"feature_align": features(0, torch.float64)})
    line("encoder", "eval", "out", summary(seen["out"]))
    line("reconstruction", "eval", "out", summary(out["feature_rec"]))
    line("map", "eval", "out", summary(out["pred"]))
    pred = out["pred"][:, 0].numpy()
    line("scores", "eval", "max", scores.EvalImageMax.encode_pred(pred, [16, 16]).tolist())
    line("scores", "eval", "std", scores.EvalImageStd.encode_pred(pred).tolist())
    line("scores", "eval", "mean", scores.EvalImageMean.encode_pred(pred).tolist())


def train(uniad, criterion, type):
    network = make(uniad, 0.0, type).train()
    mask = network.transformer.generate_mask((GRID, GRID), (7, 7)).to(type)
    network.transformer.generate_mask = lambda *_: mask
    adam = torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-4)
    out = []
    for step in range(STEPS):
        drawn = normal(SEED, f"uniad/jitter/{step}", (IMAGES, GRID * GRID, CHANNELS), 1)
        torch.randn = lambda shape: drawn.transpose(0, 1).to(type)
        adam.zero_grad()
        loss = criterion.FeatureMSELoss(1.0)(network({"feature_align": features(10 + 2 * step, type)}))
        loss.backward()
        out.append((f"loss,steps,{step}", [loss.item()]))
        if step == 0:
            out += [(f"gradient,steps,{name}", summary(p.grad)) for name, p in network.named_parameters()]
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 0.1)
        out.append((f"norm,steps,{step}", [float(norm)]))
        adam.step()
    return out + [(f"parameter,steps,{name}", summary(p)) for name, p in network.named_parameters()]


def main():
    root = sys.argv[1]
    sys.path.insert(0, root)
    for name in ("tabulate", "cv2"):
        sys.modules.setdefault(name, unittest.mock.MagicMock())
    models = types.ModuleType("models")  # without what its __init__ imports
    models.__path__ = [root + "/models"]
    sys.modules["models"] = models
    uniad = load("uniad", root + "/models/reconstructions/uniad.py")
    criterion = load("criterion_helper", root + "/utils/criterion_helper.py")
    scores = load("eval_helper", root + "/utils/eval_helper.py")
    evaluate(uniad, scores)
    exact, single = train(uniad, criterion, torch.float64), train(uniad, criterion, torch.float32)
    for name, values in exact:
        print(",".join([name] + [f"{v:.12g}" for v in values]))
    for kind, of in (("loss", "losses"), ("gradient", "gradients"), ("parameter", "parameters")):
        print(f"spread,steps,{of},{spread(exact, single, kind):.9g}")


if __name__ == "__main__":
    main()
