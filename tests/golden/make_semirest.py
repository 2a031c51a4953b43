#!/usr/bin/env python3
"""Golden values of SemiREST from the sibling code that its authors published.

    tests/golden/make_semirest.py REST > tests/golden/semirest.csv

REST is the folder REST of a checkout of github.com/BeJane/ADClick (18a730f): its model/models_swin.py,
model/feature_detector.py, model/loss.py and model/pos_embed.py are run on the CPU. The training script
of SemiREST itself is not public. Weights, residuals and masks are numbers that this script and the test
both compute (`noise`), so nothing has to be stored. All in double precision.

    position,HEIGHTxWIDTH,NORM,SAMPLES...  the code of positions of 1024 numbers
    labels,KIND,VALUES...                  of 16 blocks: 1, 0, or the share (-1 in boxes) between
    focal,CASE,LOSS,GRADIENTS...           of 6 tokens, to the logits
    logits,GRID,NORM,SAMPLES...            of windows of signed residuals, which the code squares
    gradient,GRID/NAME,NORM,SAMPLES...     of the sum of logits times noise, to every parameter
    loss,STEP,VALUE                        three steps of AdamW (0.0001, decay 0.05, norm at most 1)
    parameter,NAME,NORM,SAMPLES...         after them
    mixed,WHAT,NORM,SAMPLES...             tokens and targets after guess_mixup with fixed partners
    mixed_loss,ITERATION,VALUE             of them

Needs torch and timm 0.6.13.
"""
import sys
import types
import unittest.mock
import zlib

import numpy
import torch

from formula import noise

SAMPLES = 12
INPUTS, WIDTH, HEADS, BLOCKS, AROUND = 6, 8, 2, 4, 4
SIDE, STRIDE, GRID = 8, 4, 12


def tensor_of(seed, *shape):
    return torch.from_numpy(noise(int(numpy.prod(shape)), seed).reshape(shape))


def fill(network):
    with torch.no_grad():
        for name, value in network.named_parameters():
            v = noise(value.numel(), zlib.crc32(name.encode()) % 100000)
            if name.endswith("bias"):
                v = 0.1 * v
            elif value.dim() == 1:
                v = 1 + 0.1 * v
            elif not name.endswith("table"):
                v = v * (3 / value[0].numel()) ** 0.5
            value.copy_(torch.from_numpy(v.reshape(value.shape)))
    return network


def line(kind, name, value):
    v = torch.as_tensor(value).detach().double().reshape(-1)
    at = [i * (v.numel() - 1) // (SAMPLES - 1) for i in range(SAMPLES)]
    numbers = [v.norm().item()] + [v[i].item() for i in at]
    print(",".join([kind, name] + [f"{n:.12g}" for n in numbers]))


def row(kind, name, values):
    print(",".join([kind, name] + [f"{float(n):.12g}" for n in values]))


def detector(feature_detector, size):
    # the code moves to a GPU by name
    torch.Tensor.to = to_cpu
    d = feature_detector.Swin_detector(
        image_size=(3, GRID * 8, GRID * 8), slide_window=size, slide_stride=STRIDE, in_chans=INPUTS,
        embed_dim=WIDTH, window_size=AROUND, depths=(BLOCKS,), num_heads=(HEADS,)).double()
    fill(d.vit)
    for block in d.vit.layers[0].blocks:
        block.drop_path = torch.nn.Identity()
    return d


original_to = torch.Tensor.to


def to_cpu(self, *arguments, **named):
    if arguments and isinstance(arguments[0], str) and arguments[0].startswith("cuda"):
        return self
    return original_to(self, *arguments, **named)


def masks(count, side):
    """Blocks of 8 x 8 pixels: block k of an image has 5 k mod 65 pixels of a defect."""
    blocks = side // 8
    out = torch.zeros(count, 1, side, side, dtype=torch.float64)
    for n in range(count):
        for b in range(blocks * blocks):
            for p in range(5 * (b + 3 * n) % 65):
                out[n, 0, b // blocks * 8 + p // 8, b % blocks * 8 + p % 8] = 1
    return out


def main():
    sys.path.insert(0, sys.argv[1])
    for name in ("matplotlib", "matplotlib.pyplot", "torchvision", "torchvision.transforms",
                 "torchvision.transforms.functional", "torchvision.datasets", "torchvision.ops",
                 "torchvision.ops.misc", "torchvision.models", "torchvision.models.feature_extraction",
                 "torchvision.io", "PIL", "PIL.Image", "huggingface_hub",
                 "model.fusion", "model.is_plainvit_model", "model.isegm", "model.destseg",
                 "model.model_unet", "model.transformer_helper.cross_entropy_loss"):
        sys.modules.setdefault(name, unittest.mock.MagicMock())  # imported there, and not used
    sys.modules["model.new_swin"] = types.SimpleNamespace(SwinTransformer=torch.nn.Module)
    sys.modules["model.models_vit"] = types.SimpleNamespace(ViT=torch.nn.Module)
    sys.modules["PIL"].__version__ = "9.0"
    sys.modules["torchvision.ops.misc"].FrozenBatchNorm2d = torch.nn.BatchNorm2d
    out, sys.stdout = sys.stdout, sys.stderr  # the code prints
    from model import feature_detector, loss, pos_embed

    def public(function, *arguments, **named):
        sys.stdout = sys.stderr
        result = function(*arguments, **named)
        sys.stdout = out
        return result

    sys.stdout = out
    for height, width in ((4, 4), (64, 48)):
        line("position", f"{height}x{width}", pos_embed.get_2d_sincos_pos_embed(1024, (height, width)))

    args = types.SimpleNamespace(
        block_size=8, gt_thres1=0.5, gt_thres2=0.08, semi_pos_thres=1.1, semi_neg_thres=0.5, aug=True,
        new_aug=None, k=1, p=[1.0], normal_var=None, feature_channel=INPUTS, sample_patch=None,
        slide_stride=STRIDE, mask_ratio=None, focal_loss_alpha=0.25, focal_loss_gamma=4,
        u_focal_loss_alpha=0.75, u_focal_loss_gamma=4, focal_loss_beta=False, T=0.5, alpha=0.75,
        mixup_ratio=0.5, semi_loss="focal_loss", lambda_u=5)
    small = public(detector, feature_detector, SIDE)
    small.feature_size = (4, 4)
    row("labels", "mask", small.get_gt(masks(1, 32).clone(), False, args).reshape(-1))
    boxed = masks(1, 32) - 1  # -1 outside of a box, 0 inside
    row("labels", "box", small.get_gt(boxed, True, args).reshape(-1))

    for case, alpha, soft in (("hard", 0.25, False), ("guessed", 0.75, True)):
        logits = (3 * tensor_of(11, 6, 2)).requires_grad_()
        bad = (tensor_of(12, 6) + 1) / 2
        bad = bad if soft else (bad > 0.5).double()
        value = loss.focal_loss(logits, torch.stack([1 - bad, bad], 1), alpha=alpha, gamma=4)
        value.backward()
        row("focal", case, [value.item()] + logits.grad.reshape(-1).tolist())

    for size in (8, 12):
        d = public(detector, feature_detector, size)
        x = tensor_of(100 + size, 2, INPUTS, size, size)
        logits = public(d.vit, x)
        line("logits", str(size), logits)
        (logits * tensor_of(200, *logits.shape)).sum().backward()
        for name, value in d.vit.named_parameters():
            line("gradient", f"{size}/{name}", value.grad)

    d = public(detector, feature_detector, SIDE)
    residuals, truth = tensor_of(300, 2, INPUTS, GRID, GRID), masks(2, GRID * 8)
    optimizer = torch.optim.AdamW(d.vit.parameters(), lr=0.0001, weight_decay=0.05)
    for step in range(3):
        optimizer.zero_grad()
        value = public(d.forward, residuals.clone(), truth.clone(), True, args, step)
        value.backward()
        torch.nn.utils.clip_grad_norm_(d.vit.parameters(), 1.0)
        optimizer.step()
        row("loss", str(step), [value.item()])
    for name, value in d.vit.named_parameters():
        line("parameter", name, value)

    # ResMixMatch: two windows, two copies each; the partners of row i, and the share of a mixture
    args.k = 2
    d = public(detector, feature_detector, SIDE)
    rows = 2 * 2 * SIDE * SIDE
    partners = torch.from_numpy(numpy.argsort(noise(rows, 500), kind="stable"))
    known = d.get_gt(masks(2, SIDE * 8), False, args)[:, :, :SIDE, :SIDE]
    known = torch.nn.functional.interpolate(known, (SIDE, SIDE), mode="nearest")
    with unittest.mock.patch("numpy.random.beta", lambda a, b: 0.3), \
            unittest.mock.patch("torch.randperm", lambda n: partners):
        x = tensor_of(400, 2, 2 * INPUTS, SIDE, SIDE) ** 2
        d.vit.residual_method = "none"
        tokens, targets, kinds = public(d.guess_mixup, x, known, args)
    line("mixed", "tokens", tokens.permute(0, 2, 3, 1))
    line("mixed", "targets", targets)
    row("mixed", "labelled", [kinds[:, 0].sum().item()])
    logits = public(d.vit, tokens).reshape(-1, 2)
    for iteration in (0, 100):
        row("mixed_loss", str(iteration),
            [loss.semi_loss(logits, targets, kinds, iteration, args).item()])


main()
