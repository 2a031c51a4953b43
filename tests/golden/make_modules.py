#!/usr/bin/env python3
"""PyTorch's layers on small numbers, for tests/nn/test_modules.c.

Made with: tests/golden/make_modules.py > tests/golden/modules.csv (PyTorch 1.13)

Element i of the j-th entry of a state dict, num_batches_tracked left out, is 0.4 sin(1.1 i + 2.3 j
+ 0.5), of a running variance 1 more; of the input cos(0.9 i + 0.2); of the output's gradient
sin(0.7 i + 0.1). All is computed in double precision from these numbers in single precision. Lines:

    run,CASE,KIND,NAME,VALUES...   KIND output, input (its gradient), gradient or state (the value
                                   afterwards, of buffers); at most 24 values, evenly spread
    init,CASE,NAME,MEAN,DEVIATION,LARGEST   of what PyTorch begins a large layer with
"""
import torch
from torch import nn
from torch.nn import functional


class Same(nn.Conv2d):
    """TensorFlow's padding, as timm has it."""

    def forward(self, x):
        pads = []
        for side in (x.shape[-1], x.shape[-2]):
            k, s, d = self.kernel_size[0], self.stride[0], self.dilation[0]
            need = max((-(-side // s) - 1) * s + (k - 1) * d + 1 - side, 0)
            pads += [need // 2, need - need // 2]
        return self._conv_forward(functional.pad(x, pads), self.weight, self.bias)


class SelfAttention(nn.MultiheadAttention):
    def forward(self, x):
        return super().forward(x, x, x)[0]


class CrossAttention(nn.MultiheadAttention):
    """Of the first two tokens to all, the last one hidden from the first."""

    def forward(self, x):
        mask = torch.zeros(2, x.shape[1], dtype=x.dtype)
        mask[0, -1] = float("-inf")
        return super().forward(x[:, :2], x, x, attn_mask=mask)[0]


def activations(x):
    kinds = [nn.Identity(), nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(), nn.LeakyReLU(0.2), nn.ELU(),
             nn.GELU(), nn.SiLU(), nn.Hardswish(), nn.Hardsigmoid(), nn.Sigmoid(), nn.Tanh(),
             nn.Softplus()]
    return torch.stack([kind(4 * x) for kind in kinds])


class Activations(nn.Module):
    def forward(self, x):
        return activations(x)


CASES = {
    "linear": (nn.Linear(4, 3), (2, 5, 4), True),
    "linear_plain": (nn.Linear(4, 3, bias=False), (2, 4), True),
    "conv": (nn.Conv2d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2), (2, 4, 7, 6), True),
    "conv_same": (Same(3, 4, 3, stride=2), (1, 3, 6, 7), True),
    "conv_same_even": (Same(3, 4, 3, stride=1, bias=False), (1, 3, 5, 4), True),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
                   (2, 4, 3, 4), True),
    "batch_norm_train": (nn.BatchNorm2d(3), (2, 3, 4, 2), True),
    "batch_norm_eval": (nn.BatchNorm2d(3), (2, 3, 4, 2), False),
    "batch_norm_1d": (nn.BatchNorm1d(3), (5, 3), True),
    "layer_norm": (nn.LayerNorm((3, 4)), (2, 3, 4), True),
    "group_norm": (nn.GroupNorm(2, 4), (2, 4, 3, 2), True),
    "instance_norm": (nn.InstanceNorm2d(3, affine=True), (2, 3, 4, 2), True),
    "instance_norm_plain": (nn.InstanceNorm2d(3), (2, 3, 4, 2), True),
    "attention": (SelfAttention(6, 2, batch_first=True), (2, 4, 6), True),
    "attention_masked": (CrossAttention(6, 3, batch_first=True), (2, 4, 6), True),
    "mlp": (nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 3), nn.GELU(), nn.Linear(3, 2)),
            (3, 4), True),
    "sequential": (nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4),
                                 nn.LeakyReLU(0.2), nn.MaxPool2d(2, 2), nn.Upsample(scale_factor=2),
                                 nn.GroupNorm(2, 4), nn.Dropout(0), nn.AvgPool2d(3, 2, 1),
                                 nn.Flatten(), nn.Linear(16, 3), nn.BatchNorm1d(3)),
                   (5, 3, 4, 4), True),
    "activations": (Activations(), (11,), True),
}

LARGE = {
    "linear": nn.Linear(300, 200),
    "conv": nn.Conv2d(64, 48, 3, groups=2),
    "transposed": nn.ConvTranspose2d(48, 64, 3, groups=2),
    "embedding": nn.Embedding(300, 100),
    "attention": nn.MultiheadAttention(128, 4),
}


def line(*fields):
    print(",".join(f"{f:.9g}" if isinstance(f, float) else str(f) for f in fields))


def some(tensor):
    flat = tensor.detach().reshape(-1)
    count = min(24, len(flat))
    return [float(flat[i * len(flat) // count]) for i in range(count)]


def wave(function, tensor, slope, start):
    at = torch.arange(tensor.numel(), dtype=torch.float64)
    return function(slope * at + start).float().double().view(tensor.shape)


for case, (module, shape, training) in CASES.items():
    module = module.double().train(training)
    entries = [(n, t) for n, t in module.state_dict(keep_vars=True).items()
               if not n.endswith("num_batches_tracked")]
    with torch.no_grad():
        for j, (name, t) in enumerate(entries):
            value = 0.4 * wave(torch.sin, t, 1.1, 2.3 * j + 0.5)
            t.copy_((value + (1 if name.endswith("running_var") else 0)).float())
    x = wave(torch.cos, torch.zeros(shape), 0.9, 0.2).requires_grad_(True)
    out = module(x)
    (out * wave(torch.sin, out, 0.7, 0.1)).sum().backward()
    line("run", case, "output", "", *some(out))
    line("run", case, "input", "", *some(x.grad))
    for name, t in entries:
        if isinstance(t, nn.Parameter):
            line("run", case, "gradient", name, *some(t.grad))
        else:
            line("run", case, "state", name, *some(t))

torch.manual_seed(0)
for case, module in LARGE.items():
    for name, t in module.state_dict().items():
        t = t.double()
        line("init", case, name, float(t.mean()), float(t.std()), float(t.abs().max()))
t = torch.nn.init.trunc_normal_(torch.empty(300, 200), std=0.02)
line("init", "trunc_normal", "weight", float(t.mean()), float(t.std()), float(t.abs().max()))
t = torch.nn.init.trunc_normal_(torch.empty(300, 200), std=1.5)
line("init", "trunc_wide", "weight", float(t.mean()), float(t.std()), float(t.abs().max()))
t = torch.nn.init.kaiming_normal_(torch.empty(48, 64, 3, 3), mode="fan_out", nonlinearity="relu")
line("init", "kaiming", "weight", float(t.mean()), float(t.std()), float(t.abs().max()))
