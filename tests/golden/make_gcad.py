#!/usr/bin/env python3
"""GCAD's equations in plain PyTorch, and a public U-Net, from libimiad's first parameters, on procedural images.

    tests/golden/make_gcad.py UNET > tests/golden/gcad.csv

UNET is a checkout of github.com/jvanvugt/pytorch-unet at 7e57722, whose unet.py runs as it is. GCAD has no public code: the
rest is written here from the paper's equations, plainly: every pixel's patch is cut out and described alone, losses are
sums, no layer is dilated.

Cases: `unet`, the U-Net's output; `steps`, three steps of Adam in epochs 0, 1 and 2 of 10, for patches of 17 and of 33
pixels: losses, gradients of the second step, parameters and maps after the third; `lesson`, the loss of distilling a description
and its gradients. All in double precision. First parameters are libimiad's random streams. Needs torch and numpy.
"""
import os
import sys

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from make_efficientad import lines_of, wave  # noqa: E402
from make_rd4ad import uniform  # noqa: E402

SEED, SIDE, WIDTH, NUMBERS, CHANNELS, SLOPE = 66, 64, 4, 5, 10, 0.005
OUTPUTS, EPOCHS, RATE, DECAY, DOUBLE = 2 * WIDTH, 10, 1e-4, 1e-5, torch.float64


def begin(network, purpose):
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            shape = tuple(module.weight.shape)
            bound = (shape[1] * shape[2] * shape[3]) ** -0.5
            module.weight.data = uniform(SEED, f"{purpose}.{name}.weight", shape, bound)
            module.bias.data = uniform(SEED, f"{purpose}.{name}.bias", tuple(module.bias.shape), bound)
    return network.to(DOUBLE)


class Descriptor(nn.Module):
    def __init__(self, field):
        super().__init__()
        kernels = (6, 5, 5, 4) if field == 17 else (5, 5, 2, 4)
        widths = (3, OUTPUTS, 2 * OUTPUTS, 2 * OUTPUTS, OUTPUTS)
        self.field = field
        for i, kernel in enumerate(kernels):
            setattr(self, f"conv{i + 1}", nn.Conv2d(widths[i], widths[i + 1], kernel))

    def forward(self, patches):
        x = patches
        for i in range(4):
            x = getattr(self, f"conv{i + 1}")(x)
            if i < 3:
                x = F.leaky_relu(x, SLOPE)
            if self.field == 33 and i < 2:
                x = F.max_pool2d(x, 2)
        return x

    def everywhere(self, images):
        """Of every pixel of every image, its patch cut out."""
        border, (n, _, h, w) = (self.field - 1) // 2, images.shape
        wide = F.pad(images, (border,) * 4, mode="reflect")
        columns = F.unfold(wide, self.field).transpose(1, 2).reshape(n * h * w, 3, self.field, self.field)
        return self(columns).reshape(n, h, w, OUTPUTS).permute(0, 3, 1, 2)


class Squeezing(nn.Module):
    def __init__(self):
        super().__init__()
        w = WIDTH // 2
        widths = [w, 2 * w, 4 * w, 8 * w, 8 * w]
        for i in range(5):
            setattr(self, f"down{i}", nn.Conv2d(([3] + widths)[i], widths[i], 4, 2, 1))
            setattr(self, f"skip{i}", nn.Conv2d(widths[i], widths[i], 1))
        self.squeeze0 = nn.Conv2d(widths[4], NUMBERS, SIDE // 32)
        self.widen0 = nn.ConvTranspose2d(NUMBERS, widths[4], SIDE // 32)
        ups = [widths[4], widths[3], widths[2], widths[1], widths[0], widths[0]]
        for i in range(5):
            setattr(self, f"up{i}", nn.ConvTranspose2d(ups[i], ups[i + 1], 4, 2, 1))
        self.last0 = nn.Conv2d(widths[0], CHANNELS, 1)

    def forward(self, x, weights):
        seen = []
        for i in range(5):
            x = F.leaky_relu(getattr(self, f"down{i}")(x), SLOPE)
            seen.append(x)
        x = self.widen0(self.squeeze0(x))
        for i in range(5):
            level = 4 - i
            if weights[level] > 0:  # no gradient, and no decay, once it has faded
                x = x + weights[level] * getattr(self, f"skip{level}")(seen[level])
            x = F.leaky_relu(x, SLOPE)
            x = getattr(self, f"up{i}")(x)
        return self.last0(F.leaky_relu(x, SLOPE))


def skip_weights(epoch):
    """From 1 to 0 within a fifth of the epochs, the finest level first."""
    each = EPOCHS // 5 / 5
    return [min(1.0, max(0.0, 1 - (epoch - level * each) / each)) for level in range(5)]


def steps(field, UNet):
    case, out, at = f"steps{field}", [], f"gcad/p{field}/"
    parts = {"local": UNet(3, OUTPUTS, 5, 2, True), "squeezing": Squeezing(),
             "upscale": nn.Sequential(nn.Conv2d(CHANNELS, OUTPUTS, 1), nn.LeakyReLU(SLOPE),
                                      nn.Conv2d(OUTPUTS, OUTPUTS, 1), nn.LeakyReLU(SLOPE),
                                      nn.Conv2d(OUTPUTS, OUTPUTS, 1)),
             "global": UNet(3, CHANNELS, 5, 2, True)}
    descriptor = begin(Descriptor(field), at + "descriptor")
    for name, part in parts.items():
        begin(part, at + name)
    named = [(f"{name}.{n}", p) for name, part in parts.items() for n, p in part.named_parameters()]
    adam = torch.optim.Adam([p for _, p in named], lr=RATE, weight_decay=DECAY)
    images = wave((2, 3, SIDE, SIDE), 0, DOUBLE)
    with torch.no_grad():
        described = descriptor.everywhere(images)
    out.append(lines_of(case, "output", "described", described))
    for epoch in range(3):
        squeezed = parts["squeezing"](images, skip_weights(epoch))
        kd = ((described - parts["upscale"](squeezed)) ** 2).sum() / OUTPUTS
        loc = ((described - parts["local"](images)) ** 2).sum() / OUTPUTS
        loss = kd + loc
        if epoch >= EPOCHS // 10:
            loss = loss + ((squeezed - parts["global"](images)) ** 2).sum() / CHANNELS
        loss = loss / len(images)
        out.append((f"loss,{case},{epoch}", [loss.item()]))
        adam.zero_grad(set_to_none=True)
        loss.backward()
        if epoch == 1:
            out += [lines_of(case, "gradient", n, p.grad) for n, p in named if p.grad is not None and p.dim() == 4]
        adam.step()
    out += [lines_of(case, "parameter", n, p) for n, p in named if p.dim() == 4]
    with torch.no_grad():
        image = wave((1, 3, SIDE, SIDE), 7, DOUBLE)
        out.append(lines_of(case, "map", "local", (descriptor.everywhere(image) - parts["local"](image)).norm(dim=1)))
        out.append(lines_of(case, "map", "global",
                            (parts["squeezing"](image, [0] * 5) - parts["global"](image)).norm(dim=1)))
    return out


def lesson(field):
    descriptor = begin(Descriptor(field), f"gcad/p{field}/descriptor")
    decoder = begin(nn.Sequential(nn.Conv2d(OUTPUTS, 7, 1)), "gcad/decoder")
    patches, wanted = wave((6, 3, field, field), 0, DOUBLE), wave((6, 7, 1, 1), 1, DOUBLE)
    described = descriptor(patches)
    loss = ((decoder(described) - wanted) ** 2).sum() / 6 + \
        (torch.corrcoef(described[:, :, 0, 0].T) ** 2).sum() - OUTPUTS
    loss.backward()
    case = f"lesson{field}"
    return [(f"loss,{case},0", [loss.item()])] + [lines_of(case, "gradient", n, p.grad)
                                                   for n, p in descriptor.named_parameters() if p.dim() == 4]


def main():
    sys.path.insert(0, sys.argv[1])
    from unet import UNet
    network = begin(UNet(3, 10, 5, 2, True), "unet")
    with torch.no_grad():
        for p in network.parameters():
            if p.dim() == 4:  # otherwise little of the image comes through so many layers
                p.mul_(2.5)
        lines = [lines_of("unet", "output", "whole", network(wave((2, 3, SIDE, SIDE), 0, DOUBLE)))]
    for outputs in (128, 10):
        count = sum(p.numel() for p in UNet(3, outputs, 5, 6, True).parameters())
        lines.append((f"count,unet,{outputs}", [count]))
    for field in (17, 33):
        lines += steps(field, UNet) + lesson(field)
    for name, values in lines:
        print(",".join([name] + [f"{v:.12g}" for v in values]))


if __name__ == "__main__":
    main()
