"""Seconds of one CPU that a training step takes in PyTorch's Python front end, eager:

    time_training.py DETECTOR BATCH SIZE ROUNDS STEPS

ResNet-18, random weights, default memory format; prints the least over the rounds, each a mean of so
many steps, of a step with the frozen network's forward pass in it, and of one without. The steps are
those of the papers' codes at their defaults, without what these compute and do not use (CFA's score).
"""
import sys
import time

import torch
import torchvision
from torch import nn
from torch.nn import functional

torch.set_num_threads(1)
detector, (batch, size, rounds, steps) = sys.argv[1], (int(text) for text in sys.argv[2:6])
images = torch.rand(batch, 3, size, size)
network = torchvision.models.resnet18().eval()


def features(model):
    x = model.maxpool(model.relu(model.bn1(model.conv1(images))))
    out = []
    for layer in (model.layer1, model.layer2, model.layer3):
        x = layer(x)
        out.append(x)
    return out


def take_step(optimisers, loss):
    for optimiser in optimisers:
        optimiser.zero_grad()
    loss.backward()
    for optimiser in optimisers:
        optimiser.step()


def stpm():
    student = torchvision.models.resnet18().train()
    sgd = torch.optim.SGD(student.parameters(), lr=0.4, momentum=0.9, weight_decay=1e-4)

    def frozen():
        return [functional.normalize(x) for x in features(network)]

    def step(targets):
        pairs = zip(targets, features(student))
        take_step([sgd], sum((t - functional.normalize(s)).square().sum(1).mean() for t, s in pairs))
    return frozen, step


def cfa():
    descriptor = nn.Conv2d(450, 448, 1)
    radius, bank = nn.Parameter(torch.full((1,), 1e-5)), None
    adamw = torch.optim.AdamW([*descriptor.parameters(), radius], lr=1e-3, weight_decay=5e-4,
                              amsgrad=True)

    def describe(layers):
        grid = layers[0].shape[2:]
        layers = [functional.interpolate(x, grid, mode="bilinear") for x in layers]
        rows, columns = (torch.linspace(-1, 1, count) for count in grid)
        places = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(batch, -1, -1, -1)
        return descriptor(torch.cat([*layers, places], 1)).flatten(2).transpose(1, 2)

    def frozen():
        return [functional.avg_pool2d(x, 3, 1, 1) for x in features(network)]

    def step(layers):
        nonlocal bank
        phi = describe(layers)
        bank = phi.mean(0).t().detach() if bank is None else bank
        squares = phi.square().sum(2, keepdim=True) + bank.square().sum(0, keepdim=True)
        d = (squares - 2 * phi @ bank).topk(6, largest=False).values
        attract = torch.relu(d[..., :3] - radius**2).mean()
        repel = torch.relu(radius**2 - d[..., 3:] - 0.1).mean()
        take_step([adamw], (attract + repel) / 1e-3)
    return frozen, step


def simplenet():
    adaptor = nn.Linear(1536, 1536)
    judge = nn.Sequential(nn.Linear(1536, 1024), nn.BatchNorm1d(1024), nn.LeakyReLU(0.2),
                          nn.Linear(1024, 1, bias=False))
    optimisers = [torch.optim.AdamW(adaptor.parameters(), lr=1e-4),
                  torch.optim.Adam(judge.parameters(), lr=2e-4, weight_decay=1e-5)]

    def pooled(x, grid):
        patches = functional.unfold(x, 3, padding=1)
        patches = functional.interpolate(patches.unflatten(2, x.shape[2:]), grid, mode="bilinear")
        return functional.adaptive_avg_pool1d(patches.flatten(2).transpose(1, 2).flatten(0, 1)[:, None],
                                              1536)

    def frozen():
        layers = features(network)[1:]
        both = torch.cat([pooled(x, layers[0].shape[2:]) for x in layers], 1)
        return functional.adaptive_avg_pool1d(both.flatten(1)[:, None], 1536)[:, 0]

    def step(rows):
        adapted = adaptor(rows)
        noisy = adapted + torch.normal(0, 0.015, adapted.shape)
        scores = judge(torch.cat([adapted, noisy]))
        real, fake = scores[:len(rows)], scores[len(rows):]
        take_step(optimisers, (0.5 - real).clip(0).mean() + (0.5 + fake).clip(0).mean())
    return frozen, step


def rd4ad():
    def convolution(inputs, outputs, kernel=3, stride=2):
        return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
                             nn.BatchNorm2d(outputs))

    def transposed(inputs, outputs):
        return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 2, 2, bias=False),
                             nn.BatchNorm2d(outputs))

    class Upward(nn.Module):
        """A basic block that doubles the size."""
        def __init__(self, inputs, outputs):
            super().__init__()
            self.first, self.shortcut = transposed(inputs, outputs), transposed(inputs, outputs)
            self.second = convolution(outputs, outputs, stride=1)

        def forward(self, x):
            return functional.relu(self.second(functional.relu(self.first(x))) + self.shortcut(x))

    first = nn.Sequential(convolution(64, 128), nn.ReLU(), convolution(128, 256), nn.ReLU())
    second = nn.Sequential(convolution(128, 256), nn.ReLU())
    block = torchvision.models.resnet.BasicBlock
    embed = nn.Sequential(block(768, 512, 2, convolution(768, 512, 1)), block(512, 512))
    decoder = nn.ModuleList(nn.Sequential(Upward(2 * n, n), block(n, n)) for n in (256, 128, 64))
    learned = nn.ModuleList([first, second, embed, decoder])
    adam = torch.optim.Adam(learned.parameters(), lr=0.005, betas=(0.5, 0.999))

    def frozen():
        return features(network)

    def step(targets):
        x = embed(torch.cat([first(targets[0]), second(targets[1]), targets[2]], 1))
        loss = 0
        for layer, target in zip(decoder, reversed(targets)):
            x = layer(x)
            loss += (1 - functional.cosine_similarity(target.flatten(1), x.flatten(1))).mean()
        take_step([adam], loss)
    return frozen, step


def best(action):
    action()
    times = []
    for _ in range(rounds):
        begin = time.process_time()
        for _ in range(steps):
            action()
        times.append((time.process_time() - begin) / steps)
    return min(times)


make_frozen, step = {"stpm": stpm, "cfa": cfa, "simplenet": simplenet, "rd4ad": rd4ad}[detector]()


def frozen():
    with torch.no_grad():
        return make_frozen()


kept = frozen()
print(best(lambda: step(frozen())), best(lambda: step(kept)))
