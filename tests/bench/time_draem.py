"""DRAEM's training step in plain PyTorch, eager, for time_training.py, which does what the authors' step does. The
damage that the library's step draws is not in it. And, for bench_draem.c, the public code on one image:

    time_draem.py DRAEM FOLDER IMAGES SIZE REPAIR JUDGE

DRAEM is a checkout of github.com/VitjanZ/DRAEM, FOLDER/detector a saved detector, whose weights its networks take,
REPAIR and JUDGE channels wide, FOLDER/image the RGB bytes of SIZE x SIZE pixels, FOLDER/score what libimiad gave. Prints
the least and the middle of the processor's seconds, the most memory above what there was before, in megabytes, and how
far the score differs; ends in 1 where that is more than 1e-3 of it.
"""
import ctypes
import os
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional

WIDTH = 16  # of both networks, as bench_training.c asks for


def block(*channels):
    layers = []
    for inputs, outputs in zip(channels, channels[1:]):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def enlarged(inputs, outputs):
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), block(inputs, outputs))


class Repairer(nn.Module):
    def __init__(self, w):
        super().__init__()
        down, up = [3, w, 2 * w, 4 * w, 8 * w, 8 * w], [8 * w, 4 * w, 2 * w, w, w]
        layers = []
        for inputs, outputs in zip(down, down[1:]):
            layers += [block(inputs, outputs, outputs), nn.MaxPool2d(2)]
        layers.pop()
        for inputs, outputs in zip(up, up[1:]):
            layers += [enlarged(inputs, inputs), block(inputs, inputs, outputs)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(w, 3, 3, padding=1))

    def forward(self, x):
        return self.layers(x)


class Judge(nn.Module):
    def __init__(self, w):
        super().__init__()
        down, up = [6, w, 2 * w, 4 * w, 8 * w, 8 * w, 8 * w], [8 * w, 8 * w, 4 * w, 2 * w, w, w]
        self.down = nn.ModuleList(block(i, o, o) for i, o in zip(down, down[1:]))
        self.widened = nn.ModuleList(enlarged(i, o) for i, o in zip(up, up[1:]))
        across = down[5:0:-1]
        self.up = nn.ModuleList(block(o + a, o, o) for o, a in zip(up[1:], across))
        self.out = nn.Conv2d(w, 2, 3, padding=1)

    def forward(self, x):
        levels = []
        for i, layer in enumerate(self.down):
            x = layer(functional.max_pool2d(x, 2) if i else x)
            levels.append(x)
        for i, (widen, layer) in enumerate(zip(self.widened, self.up)):
            x = layer(torch.cat([widen(x), levels[-2 - i]], 1))
        return self.out(x)


def make_window():
    line = torch.exp(-(torch.arange(11) - 5.0)**2 / (2 * 1.5**2))
    line = line / line.sum()
    return (line[:, None] * line).expand(3, 1, 11, 11).contiguous()


def dissimilarity(a, b, window):
    length = (255 if a.max() > 128 else 1) - (-1 if a.min() < -0.5 else 0)
    mean_a, mean_b, aa, bb, ab = (functional.conv2d(x, window, padding=5, groups=3)
                                  for x in (a, b, a * a, b * b, a * b))
    aa, bb, ab = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    c1, c2 = (0.01 * length)**2, (0.03 * length)**2
    return 1 - ((2 * mean_a * mean_b + c1) * (2 * ab + c2) /
                ((mean_a**2 + mean_b**2 + c1) * (aa + bb + c2))).mean()


def focal(p, mask):
    truth = torch.cat([1 - mask, mask], 1).clamp(1e-5, 1 - 1e-5)
    right = (truth * p).sum(1) + 1e-5
    return -((1 - right)**2 * right.log()).mean()


def draem(bench):
    repairer, judge, window = Repairer(WIDTH), Judge(WIDTH), make_window()
    adam = torch.optim.Adam([{"params": network.parameters()} for network in (repairer, judge)], lr=1e-4)
    mask = (torch.rand(bench.batch, 1, bench.size, bench.size) > 0.9).float()
    damaged = bench.images * (1 - mask) + torch.rand_like(bench.images) * mask

    def frozen():
        return bench.images

    def step(clean):
        repaired = repairer(damaged)
        logits = judge(torch.cat([repaired, damaged], 1))
        bench.take_step([adam], functional.mse_loss(repaired, clean) + dissimilarity(repaired, clean, window) +
                        focal(torch.softmax(logits, 1), mask))
    return frozen, step


def megabytes(key):
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key)) / 1000


def score(checkout, folder, images, side, repair, judge):
    """What test_DRAEM.py does with an image in memory, but without recording gradients, as it does for nothing."""
    sys.path[:0] = [checkout, os.path.join(os.path.dirname(__file__), "..", "golden")]
    import model_unet
    from compare_features import read_safetensors
    found = {name: torch.from_numpy(numpy.array(value)) for name, value in read_safetensors(folder + "/detector").items()}
    networks = [model_unet.ReconstructiveSubNetwork(base_width=repair),
                model_unet.DiscriminativeSubNetwork(in_channels=6, out_channels=2, base_channels=judge)]
    for network, part in zip(networks, ("reconstruction", "discrimination")):
        network.load_state_dict({name: found.get(f"{part}.{name}", value)
                                 for name, value in network.state_dict().items()})
        network.eval()
    del found
    pixels = numpy.fromfile(folder + "/image", numpy.uint8).reshape(side, side, 3)
    seconds, value = [], 0
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    before = megabytes("VmRSS")
    for _ in range(images):
        begin = time.process_time()
        with torch.no_grad():
            image = torch.from_numpy((pixels / 255.0).astype(numpy.float32).transpose(2, 0, 1))[None]
            repaired = networks[0](image)
            map_ = torch.softmax(networks[1](torch.cat((repaired, image), dim=1)), dim=1)[:, 1:]
            pooled = functional.avg_pool2d(map_, 21, stride=1, padding=21 // 2).numpy()
            value = float(numpy.max(pooled))
        seconds.append(time.process_time() - begin)
    memory = megabytes("VmHWM") - before
    seconds.sort()
    wanted = numpy.fromfile(folder + "/score", numpy.float32)[0]
    apart = abs(value - wanted) / abs(wanted)
    print(seconds[0], seconds[len(seconds) // 2], memory, apart)
    return int(apart > 1e-3)


if __name__ == "__main__":
    import peer_blas
    peer_blas.require()
    torch.set_num_threads(1)
    sys.exit(score(*sys.argv[1:3], *map(int, sys.argv[3:])))
