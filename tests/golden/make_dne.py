#!/usr/bin/env python3
"""Golden values of DNE from the authors' code.

    tests/golden/make_dne.py DNE > tests/golden/dne.csv

DNE is a checkout of github.com/vijaylee/Continual_Anomaly_Detection: its models/vit.py,
methods/dne.py and utils/density.py are run. Weights and images are numbers that this script and the
test both compute (`noise`), so that nothing has to be stored.

    tokens,vit,LAYER,NORM,SAMPLES...     of a whole ViT-B/16 with one image of 224 x 224: the patches'
                                         tokens after the first and the last block and the last norm
    class,vit,LAYER,NORM,SAMPLES...      the class token there
    loss,steps,STEP,LOSS                 ten steps of DNE.forward on a ViT of one block, without the
                                         last norm, on two images of 64 x 64 and their copies: the
                                         last five are those of a second task
    gradient,steps,NAME,NORM,SAMPLES...  of the first step
    parameter,steps,NAME,NORM,SAMPLES... after the last
    embedding,steps,STEP,NORM,SAMPLES... of the images, before the first and the last step
    spread,steps,WHAT,SPREAD             how far the code in single precision lies from that
    mean, covariance,replay,TASK,...     what DNE.training_epoch keeps of three tasks
    precision,replay,all,...             of the Gaussian of all, after the third
    scores,replay,TASK,VALUES            of five rows, after each task
    shrinkage, covariance, precision,wolfN,... scikit-learn's of N rows, in double precision

The steps are in double precision. Of the past tasks numpy draws nothing: libimiad's random streams
do, through the root of the covariance, and the head of the second task keeps no gradients, as with
PyTorch 2. Needs torch, numpy, scikit-learn and timm 0.6.
"""
import importlib.util
import sys
import types
import unittest.mock
import warnings
import zlib

import numpy
import torch
import torch.nn.utils.parametrize
from sklearn.covariance import LedoitWolf

# imported on the way, and not used here
for _part in ("", ".transforms", ".transforms.functional", ".ops", ".ops.misc", ".models",
              ".models.feature_extraction", ".datasets"):
    sys.modules["torchvision" + _part] = unittest.mock.MagicMock()

from make_draem import spread
from make_stpm import normal, sample
from formula import noise

SEED, STEPS, IMAGES, SIDE, SMALL, GRID = 42, 10, 2, 224, 64, 14
VALUES, TASKS = 32, (12, 9, 10)


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def images(first, count, side, type):
    """n x 3 x side x side in [-2, 2)."""
    values = [2 * noise(3 * side * side, 1000 * (first + i)) for i in range(count)]
    return torch.from_numpy(numpy.stack(values).reshape(count, 3, side, side)).to(type)


def fill(network):
    """Every tensor from its name, in single precision."""
    for name, value in network.state_dict().items():
        v = noise(value.numel(), zlib.crc32(name.encode()) % 100000)
        if "token" in name or "pos_embed" in name:
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


def look_at_tokens(vit):
    network = fill(vit.ViT(num_classes=2)).eval()
    seen = {}
    for name, module in (("blocks.0", network.blocks[0]), ("blocks.11", network.blocks[11]),
                         ("norm", network.norm)):
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    with torch.no_grad():
        network(images(0, 1, SIDE, torch.float32))
    for name, tokens in seen.items():
        grid = tokens[:, 1:].transpose(1, 2)
        line("tokens", "vit", name, summary(grid))
        line("class", "vit", name, summary(tokens[:, 0]))


def arguments():
    return types.SimpleNamespace(
        dataset=types.SimpleNamespace(strong_augmentation=True), noise_ratio=0,
        model=types.SimpleNamespace(fix_head=True), eval=types.SimpleNamespace(eval_classifier="density"))


class FewerPositions(torch.nn.Module):
    """The codes of the whole grid for a smaller one, as timm resizes them."""

    def forward(self, codes):
        grid = codes[:, 1:].reshape(1, GRID, GRID, -1).permute(0, 3, 1, 2)
        side = SMALL // 16
        grid = torch.nn.functional.interpolate(grid, size=(side, side), mode="bicubic",
                                               align_corners=False, antialias=True)
        return torch.cat([codes[:, :1], grid.permute(0, 2, 3, 1).reshape(1, side * side, -1)], 1)


def make_small(vit, type):
    """One block, for images of 64 x 64, with all the position codes."""
    network = vit.ViT(img_size=SMALL, num_classes=2, depth=1)
    network.norm = torch.nn.Identity()
    network.pos_embed = torch.nn.Parameter(torch.zeros(1, 1 + GRID * GRID, 768))
    with torch.no_grad():
        fill(network).to(type)
    torch.nn.utils.parametrize.register_parametrization(network, "pos_embed", FewerPositions(),
                                                        unsafe=True)
    return network


def our_name(name):
    return "pos_embed" if name == "parametrizations.pos_embed.original" else name


def train(vit, dne, type):
    network = make_small(vit, type)
    adam = torch.optim.Adam(network.parameters(), lr=1e-4, eps=0.0004, weight_decay=0.00003)
    per_task = STEPS // 2
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(adam, per_task)
    method = dne.DNE(arguments(), network, adam, schedule)
    losses = []
    method.cross_entropy.register_forward_hook(lambda _, __, loss: losses.append(float(loss)))
    zero_grad = adam.zero_grad
    adam.zero_grad = lambda: zero_grad(set_to_none=True)
    network.train()
    out = []
    for step in range(STEPS):
        embeds, task = [], step // per_task
        inputs = images(10 + 4 * step, 2 * IMAGES, SMALL, type)
        labels = torch.arange(2).repeat_interleave(IMAGES)
        method(step % per_task, inputs, labels, embeds, task)
        out.append((f"loss,steps,{step}", [losses[-1]]))
        if step in (0, STEPS - 1):
            out.append((f"embedding,steps,{step}", summary(embeds[0])))
        if step == 0:
            out += [(f"gradient,steps,{our_name(name)}", summary(p.grad))
                    for name, p in network.named_parameters() if p.requires_grad]
    return out + [(f"parameter,steps,{our_name(name)}", summary(p)) for name, p in network.named_parameters()]


def keep_tasks(dne, density):
    """DNE.training_epoch, with libimiad's draws."""
    calls = {"task": 0, "past": 0}

    def draw(mean, covariance, size):
        if size == 0:  # the code's noise: none
            return numpy.zeros((0, VALUES))
        purpose = f"dne/replay/{calls['task']}/{calls['past']}"
        calls["past"] += 1
        z = normal(SEED, purpose, (size, VALUES), 1).double().numpy()
        values, vectors = numpy.linalg.eigh(covariance.double().numpy())
        root = (vectors * numpy.sqrt(values.clip(0))) @ vectors.T
        return z @ root + mean.double().numpy()

    numpy.random.multivariate_normal = draw
    method = dne.DNE(arguments(), torch.nn.Identity(), None, None)
    gaussian = density.GaussianDensityTorch()
    means, covariances, numbers = [], [], []
    tested = torch.nn.functional.normalize(rows(5, 9), p=2, dim=1)
    for task, count in enumerate(TASKS):
        calls.update(task=task, past=0)
        numbers.append(count)
        method.training_epoch(gaussian, [rows(count, task)], means, covariances, numbers, task)
        line("scores", "replay", task, gaussian.predict(tested).tolist())
    for task in range(len(TASKS)):
        line("mean", "replay", task, summary(means[task]))
        line("covariance", "replay", task, summary(covariances[task]))
    line("precision", "replay", "all", summary(gaussian.inv_cov))


def estimate():
    """scikit-learn's estimate of many and of few rows, in double precision."""
    for count in (50, 5):
        found = LedoitWolf().fit(rows(count, 20).double().numpy())
        case = f"wolf{count}"
        line("shrinkage", case, "rho", [found.shrinkage_])
        line("covariance", case, "S", summary(torch.from_numpy(found.covariance_)))
        line("precision", case, "P", summary(torch.from_numpy(found.precision_)))


def rows(count, which):
    """Embeddings around a direction of the task's own, not yet of length 1."""
    v = noise(count * VALUES, 500000 + 10000 * which).reshape(count, VALUES) * 0.3
    v += noise(VALUES, 700000 + 10000 * which)
    return torch.from_numpy(v.astype(numpy.float32))


def main():
    sys.path.insert(0, sys.argv[1])
    warnings.simplefilter("ignore")
    vit = load("vit", sys.argv[1] + "/models/vit.py")
    methods = types.ModuleType("methods")  # without what its __init__ imports
    methods.__path__ = [sys.argv[1] + "/methods"]
    sys.modules["methods"] = methods
    utils = types.ModuleType("methods.utils")
    utils.__path__ = [sys.argv[1] + "/methods/utils"]
    sys.modules["methods.utils"] = utils
    dne = load("methods.dne", sys.argv[1] + "/methods/dne.py")
    density = load("density", sys.argv[1] + "/utils/density.py")
    with torch.no_grad():
        look_at_tokens(vit)
    exact, single = train(vit, dne, torch.float64), train(vit, dne, torch.float32)
    for name, values in exact:
        print(",".join([name] + [f"{v:.12g}" for v in values]))
    for kind, of in (("loss", "losses"), ("gradient", "gradients"), ("parameter", "parameters"),
                     ("embedding", "embeddings")):
        print(f"spread,steps,{of},{spread(exact, single, kind):.9g}")
    keep_tasks(dne, density)
    estimate()


if __name__ == "__main__":
    main()
