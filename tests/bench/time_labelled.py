"""Training steps of the detectors that learn from labelled defects, for time_training.py.

The second half of a step's images is defective, where a method says no other share. Nothing that is the
same in every step is computed in one: position codes, masks, what a batch's anomalies are. SemiREST's
tokens are at hand, so that matching to its bank is not in the step, as it is not in the library's.
"""
import copy
import math

import torch
import torchvision
from torch import nn
from torch.nn import functional

HEADS = ("holistic", "seen", "pseudo", "composite")


def deviation(score, anomalous):
    prior = torch.normal(0.0, torch.ones(5000))
    d = (score - prior.mean()) / prior.std()
    return ((1 - anomalous) * d.abs() + anomalous * (5 - d).clamp_min(0)).mean()


def top_mean(patches):
    patches = patches.flatten(1).abs()
    return patches.topk(max(1, int(patches.shape[1] * 0.1)), 1).values.mean(1)


def deep(model, x):
    x = model.maxpool(model.relu(model.bn1(model.conv1(x))))
    return model.layer4(model.layer3(model.layer2(model.layer1(x))))


def both_sizes(x):
    return [x, functional.interpolate(x, scale_factor=0.5)]


def devnet(bench):
    model, scorer = torchvision.models.resnet18().train(), nn.Conv2d(512, 1, 1)
    learned = [*model.parameters(), *scorer.parameters()]
    adam = torch.optim.Adam(learned, lr=2e-4, weight_decay=1e-5)
    anomalous = (torch.arange(bench.batch) >= bench.batch // 2).float()

    def step(_):
        score = sum(top_mean(scorer(deep(model, x))) for x in both_sizes(bench.images)) / 2
        bench.take_step([adam], deviation(score, anomalous), learned)
    return lambda: None, step


def dra(bench):
    """Five references; of the others a third is labelled, and half of the rest is pasted."""
    model = torchvision.models.resnet18().train()
    heads = nn.ModuleDict({
        "holistic": nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 1)),
        "seen": nn.Conv2d(512, 1, 1), "pseudo": nn.Conv2d(512, 1, 1),
        "residual": nn.Sequential(nn.Conv2d(512, 512, 3, 1, 1), nn.BatchNorm2d(512), nn.ReLU()),
        "composite": nn.Conv2d(512, 1, 1)})
    learned = [*model.parameters(), *heads.parameters()]
    adam = torch.optim.Adam(learned, lr=2e-4, weight_decay=1e-5)
    pictures = torch.cat([torch.rand(5, *bench.images.shape[1:]), bench.images])
    kinds = torch.arange(bench.batch) * 3 // bench.batch  # 0 normal, 1 pasted, 2 labelled
    chosen = {"holistic": kinds >= 0, "seen": kinds != 1, "pseudo": kinds != 2, "composite": kinds >= 0}
    targets = {name: (kinds == 0 if name == "holistic" else kinds != 0)[chosen[name]].float() for name in HEADS}

    def step(_):
        scores = dict.fromkeys(HEADS, 0)
        for x in both_sizes(pictures):
            maps = deep(model, x)
            normal, maps = maps[:5].mean(0, keepdim=True), maps[5:]
            found = {"holistic": heads["holistic"](maps.mean((2, 3))).abs()[:, 0],
                     "seen": top_mean(heads["seen"](maps)), "pseudo": top_mean(heads["pseudo"](maps)),
                     "composite": top_mean(heads["composite"](heads["residual"](normal - maps)))}
            scores = {name: scores[name] + found[name] for name in HEADS}
        lost = sum(deviation(scores[name][chosen[name]] / 2, targets[name]) for name in HEADS)
        bench.take_step([adam], lost, learned)
    return lambda: None, step


class Coupling(nn.Module):
    """FrEIA's AllInOneBlock over rows."""
    def __init__(self, channels, condition):
        super().__init__()
        self.kept, self.moved = channels - channels // 2, channels // 2
        inputs = self.kept + condition
        self.subnet = nn.Sequential(nn.Linear(inputs, 2 * inputs), nn.ReLU(), nn.Linear(2 * inputs, 2 * self.moved))
        self.scale = nn.Parameter(torch.full((channels,), 2 * math.log(math.exp(5) - 1)))
        self.offset = nn.Parameter(torch.zeros(channels))
        self.register_buffer("rotation", torch.linalg.qr(torch.randn(channels, channels))[0])

    def forward(self, x, code):
        kept, moved = x.split([self.kept, self.moved], 1)
        a = 0.1 * self.subnet(torch.cat([kept, code], 1))
        j, scale = 1.9 * a[:, :self.moved].tanh(), 0.1 * functional.softplus(self.scale, beta=0.5)
        moved = moved * j.exp() + a[:, self.moved:]
        out = functional.linear(torch.cat([kept, moved], 1) * scale + self.offset, self.rotation)
        return out, j.sum(1) + scale.log().sum()


def push_pull(likelihood, mask):
    fixed = likelihood.detach() / 10
    good, bad = mask == 0, mask == 1
    weights = torch.where(fixed > -0.2, torch.ones_like(fixed), 11.7 * (1 - fixed.exp()).clamp_min(0)**0.5 * -fixed)
    lost = (-functional.logsigmoid(likelihood) * weights)[good].mean()
    if not bad.any():
        return lost
    hard = torch.where(fixed > -1, 0.53 * (1 + fixed.exp())**2 / fixed.abs(), torch.ones_like(fixed))
    q, normal = likelihood / 10, fixed[good]
    high = normal.sort().values[int(len(normal) * 0.01)]
    inside, outside = good & (q <= high), bad & (q >= high - 0.1)
    lost = lost + ((high - q) * weights)[inside].mean()
    return lost + ((q - high + 0.1) * hard)[outside].mean() if outside.any() else lost


def bgad(bench):
    sides, widths = [bench.size // 4, bench.size // 8, bench.size // 16], (64, 128, 256)
    flows = [nn.ModuleList(Coupling(c, 128) for _ in range(8)) for c in widths]
    adams = [torch.optim.Adam(flow.parameters(), lr=2e-4) for flow in flows]
    codes = [torch.rand(side**2, 128).repeat(bench.batch, 1) for side in sides]
    masks = [torch.zeros(bench.batch, side, side) for side in sides]
    for mask in masks:
        mask[bench.batch // 2:, :mask.shape[1] // 4, :mask.shape[1] // 4] = 1

    def step(layers):
        for maps, flow, adam, code, mask in zip(layers, flows, adams, codes, masks):
            rows, mask = maps.permute(0, 2, 3, 1).reshape(len(code), -1), mask.reshape(-1)
            count = min(4096, len(rows))
            order = torch.randperm(len(rows))
            for first in range(0, len(rows) - count + 1, count):
                chosen = order[first:first + count]
                z, determinant = rows[chosen], 0
                for block in flow:
                    z, more = block(z, code[chosen])
                    determinant = determinant + more
                likelihood = (determinant - 0.5 * (z**2).sum(1)) / z.shape[1] - 0.9189385332046727
                bench.take_step([adam], push_pull(likelihood, mask[chosen]))
    return lambda: bench.features(bench.network), step


class Swin(nn.Module):
    """A block of a Swin transformer on a square of tokens."""
    def __init__(self, width, side, window, shift, dropped):
        super().__init__()
        self.side, self.window, self.shift, self.dropped, self.heads = side, window, shift, dropped, width // 32
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.all, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.offsets = nn.Parameter(torch.zeros((2 * window - 1)**2, self.heads))
        at = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        apart = at[:, :, None] - at[:, None] + window - 1
        self.register_buffer("index", apart[0] * (2 * window - 1) + apart[1])
        band = torch.zeros(side)
        band[side - window:side - shift], band[side - shift:] = 1, 2
        region = self.split((3 * band[:, None] + band).reshape(1, -1, 1))[..., 0]
        self.register_buffer("mask", (region[:, None] != region[:, :, None]).float() * -100)

    def split(self, x):
        n, w = self.side // self.window, self.window
        x = x.reshape(len(x), n, w, n, w, -1).transpose(2, 3)
        return x.reshape(-1, w * w, x.shape[-1])

    def join(self, x):
        n, w = self.side // self.window, self.window
        return x.reshape(-1, n, n, w, w, x.shape[-1]).transpose(2, 3).reshape(-1, self.side**2, x.shape[-1])

    def attend(self, x):
        count, width = len(x), x.shape[2]
        x = self.first(x).unflatten(1, (self.side, self.side))
        x = self.split(x.roll((-self.shift, -self.shift), (1, 2)) if self.shift else x)
        q, k, v = self.all(x).reshape(len(x), -1, 3, self.heads, 32).permute(2, 0, 3, 1, 4)
        products = q * 32**-0.5 @ k.transpose(2, 3) + self.offsets[self.index].permute(2, 0, 1)
        if self.shift:
            products = (products.unflatten(0, (count, -1)) + self.mask[:, None]).flatten(0, 1)
        x = self.join(self.out((products.softmax(-1) @ v).transpose(1, 2).reshape(len(x), -1, width)))
        if not self.shift:
            return x
        return x.unflatten(1, (self.side, self.side)).roll((self.shift, self.shift), (1, 2)).flatten(1, 2)

    def forward(self, x):
        keep = lambda: functional.dropout(torch.ones(len(x), 1, 1), self.dropped) if self.dropped else 1
        x = x + self.attend(x) * keep()
        return x + self.mlp(self.second(x)) * keep()


def semirest(bench):
    """The compact preset on windows of 32 x 32 tokens: a quarter of as many as there are images."""
    side, width, windows = 32, 256, max(1, bench.batch // 4)
    blocks = [Swin(width, side, 8, 4 * (i % 2), 0.1 * i / 3) for i in range(4)]
    net = nn.Sequential(nn.Linear(256, width), nn.LayerNorm(width), *blocks, nn.LayerNorm(width), nn.Linear(width, 2))
    average = copy.deepcopy(net)
    adamw = torch.optim.AdamW(net.parameters(), lr=3e-4, weight_decay=0.05)
    tokens, labels = torch.rand(windows, side**2, 256), (torch.rand(windows, side**2) > 0.9).long()

    def step(_):
        blanked = tokens * (torch.rand(windows, side**2, 1) > 0.5 * torch.rand(1))
        likely = functional.softmax(net(blanked), -1)
        right = likely.gather(2, labels[..., None])[..., 0]
        weight = torch.where(labels == 1, 0.25, 0.75) * (1 - right)**4
        bench.take_step([adamw], -(weight * right.log()).mean(), net.parameters())
        with torch.no_grad():
            for kept, value in zip(average.parameters(), net.parameters()):
                kept.lerp_(value, 0.01)
    return lambda: None, step


STEPS = {"bgad": bgad, "devnet": devnet, "dra": dra, "semirest": semirest}
