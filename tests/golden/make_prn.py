#!/usr/bin/env python3
"""Golden values of PRN from the public re-implementation; the authors published none.

    tests/golden/make_prn.py PRNET > tests/golden/prn.csv

PRNET is a checkout of github.com/xcyao00/PRNet (2cbf856): its models, losses and utils.py are run, in
double precision. Weights, maps and masks are numbers that this script and the test both compute
(`noise`), so nothing has to be stored. The backbone is replaced by maps of 2, 4, 8 and 16 channels of a
128 x 128 image; one block of attention a level instead of three.

    map,fusion|attention|decoder|network,NAME,NORM,SAMPLES...    results, evenly through them
    index,nearest,LEVEL,INDICES...    the prototypes nearest to the images of a batch
    loss,losses,WEIGHT,LOSS           of logits that include -1000 and 1000, focal loss weighted
    gradient,losses,WEIGHT,NORM,SAMPLES...
    loss,steps,STEP,LOSS              five steps of Adam as train.py takes them
    parameter,steps,NAME,NORM,SAMPLES...    after them, running statistics too

Needs torch and numpy.
"""
import sys
import types
import zlib

import numpy
import torch

SAMPLES, SIDE, IMAGES, PROTOTYPES = 16, 128, 3, 4
CHANNELS, SIDES = (2, 4, 8, 16), (32, 16, 8, 4)


def noise(count, seed):
    """Of 0 to count - 1: in [-1, 1), by multiplication and shifts of 32 bits."""
    h = (numpy.arange(count, dtype=numpy.uint64) + numpy.uint64(seed)) * numpy.uint64(2654435761)
    h &= numpy.uint64(0xFFFFFFFF)
    h ^= h >> numpy.uint64(15)
    h = (h * numpy.uint64(2246822519)) & numpy.uint64(0xFFFFFFFF)
    h ^= h >> numpy.uint64(13)
    return h.astype(numpy.float64) / 2.0**31 - 1


def values(shape, seed, scale=1.0):
    return torch.from_numpy(scale * noise(int(numpy.prod(shape)), seed).reshape(shape))


def fill(network):
    """Every tensor from its name."""
    for name, value in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        v = noise(value.numel(), zlib.crc32(name.encode()) % 100000)
        if name.endswith("running_var"):
            v = 1 + 0.5 * v
        elif name.endswith("running_mean") or name.endswith("bias"):
            v = 0.1 * v
        elif value.dim() == 1:
            v = 1 + 0.1 * v
        else:
            v = v * (6 / value[0].numel()) ** 0.5
        value.copy_(torch.from_numpy(v.reshape(value.shape)))
    return network


def line(kind, case, name, value):
    v = value.detach().double().reshape(-1)
    at = [i * (v.numel() - 1) // (SAMPLES - 1) for i in range(SAMPLES)]
    numbers = [v.norm().item()] + [v[i].item() for i in at]
    print(",".join([kind, case, str(name)] + [f"{n:.9g}" for n in numbers]))


def maps(seed):
    """As a batch of images has them, after a ReLU."""
    return [values((IMAGES, c, s, s), 1000 * seed + i, 3.0).clamp(min=0)
            for i, (c, s) in enumerate(zip(CHANNELS, SIDES))]


def prototypes():
    return [values((PROTOTYPES, c, s, s), 500 + i, 3.0).clamp(min=0)
            for i, (c, s) in enumerate(zip(CHANNELS[:3], SIDES))]


def masks(seed):
    return (values((IMAGES, 1, SIDE, SIDE), 70000 + seed) > 0.6).double()


class Backbone(torch.nn.Module):
    """Gives the maps that are set."""
    out = [torch.zeros(1, c, s, s) for c, s in zip(CHANNELS, SIDES)]

    def forward(self, images):
        return list(self.out)


def main():
    sys.path.insert(0, sys.argv[1])
    torch.set_default_dtype(torch.float64)
    # the code's masks of classes are single precision, whatever the type of everything else
    torch.FloatTensor = lambda *shape: torch.zeros(*shape, dtype=torch.float32)
    timm = types.ModuleType("timm")
    timm.create_model = lambda *arguments, **named: Backbone()
    sys.modules["timm"] = timm
    from losses.focal_loss import FocalLoss
    from losses.smooth_l1_loss import SmoothL1Loss
    from models.attention import MultiSizeAttention, MultiSizeAttentionModule
    from models.modules import MultiScaleFusion
    from models.prnet import PRNet
    import utils

    with torch.no_grad():
        fusion = fill(MultiScaleFusion(CHANNELS[:3]))
        for i, out in enumerate(fusion(*maps(1)[:3])):
            line("map", "fusion", i + 1, out)
        attention = fill(MultiSizeAttention(4, 8)).eval()
        line("map", "attention", "eval", attention(values((2, 4, 8, 8), 11, 3.0)))
        line("map", "attention", "train", attention.train()(values((2, 4, 8, 8), 11, 3.0)))

        model = PRNet("resnet18", num_classes=1, input_size=(SIDE, SIDE), device="cpu")
        model.attn_module = MultiSizeAttentionModule([2 * c for c in CHANNELS[:3]], SIDES[:3],
                                                     num_layers=1)
        fill(model.double()).eval()

        class Replaced(torch.nn.Module):
            """In the place of everything before the decoder."""
            def forward(self, *arguments):
                return tuple(values((IMAGES, 2 * c, s, s), 900 + i) for i, (c, s)
                             in enumerate(zip(CHANNELS[:3], SIDES)))
        model.encoder.out = maps(2)
        fuser, model.ms_fuser2 = model.ms_fuser2, Replaced()
        line("map", "decoder", "logits", model(None, prototypes()))
        model.ms_fuser2 = fuser
        line("map", "network", "logits", model(None, prototypes()))

        found = utils.get_prototype_features(maps(2)[:3], prototypes())
        for i, own in enumerate(found):
            index = [[bool((p == one).all()) for p in prototypes()[i]].index(True) for one in own]
            print(",".join(["index", "nearest", str(i + 1)] + [str(k) for k in index]))

    smooth, focal = SmoothL1Loss(), FocalLoss(alpha=0.5, gamma=4)

    def loss_of(logits, mask, weight):
        """train.py's."""
        scores = torch.sigmoid(logits)
        first = smooth(scores, mask)
        return first + weight * focal(torch.cat([1 - scores, scores], dim=1), mask)

    for weight in (0, 5):
        logits = values((IMAGES, 1, SIDE, SIDE), 33, 4.0)
        logits.reshape(-1)[::7] = -1000
        logits.reshape(-1)[3::11] = 1000
        logits.requires_grad_(True)
        loss = loss_of(logits, masks(0), weight)
        loss.backward()
        print(f"loss,losses,{weight},{loss.item():.9g}")
        line("gradient", "losses", weight, logits.grad)

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, weight_decay=1e-2)
    model.train()
    for step in range(5):
        model.encoder.out = maps(10 + step)
        loss = loss_of(model(None, prototypes()), masks(step), 5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"loss,steps,{step},{loss.item():.9g}")
    for name, value in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            line("parameter", "steps", name, value)


main()
