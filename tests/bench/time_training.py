"""Seconds of one CPU that a training step takes in PyTorch's Python front end, eager:

    time_training.py DETECTOR BATCH SIZE ROUNDS STEPS

ResNet-18, random weights, default memory format; prints the least over the rounds, each a mean of so
many steps, of a step with the frozen network's forward pass in it, and of one without. The steps are
those of the papers' codes at their defaults, without what these compute and do not use (CFA's score).
"""
import functools
import sys
import time
import types

import torch
import torchvision
from torch import nn
from torch.nn import functional

import peer_blas
import time_dinomaly
import time_draem
import time_encoders
import time_labelled

peer_blas.require()
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


def take_step(optimisers, loss, learned=None):
    """Gradients of what is named are clipped."""
    for optimiser in optimisers:
        optimiser.zero_grad()
    loss.backward()
    if learned:
        nn.utils.clip_grad_norm_(learned, 1)
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


def supersimplenet():
    """The authors' code of 2025 without labelled defects; regions as large as its Perlin noise makes them."""
    widths, side = (128, 256), size // 4
    count = sum(widths)
    adaptor = nn.Conv2d(count, count, 1)
    seg = nn.Sequential(nn.Conv2d(count, 1024, 1), nn.BatchNorm2d(1024), nn.LeakyReLU(0.2, inplace=True),
                        nn.Conv2d(1024, 1, 1, bias=False))
    around = nn.Sequential(nn.Conv2d(count + 1, 128, 5, padding="same"), nn.BatchNorm2d(128), nn.ReLU(inplace=True))
    last = nn.Linear(258, 1)
    heads = [*seg.parameters(), *around.parameters(), *last.parameters()]
    adamw = torch.optim.AdamW([{"params": adaptor.parameters(), "lr": 1e-4},
                               {"params": heads, "lr": 2e-4, "weight_decay": 1e-5}])
    regions = functional.interpolate(torch.rand(2 * batch, 1, 4, 4), (side, side), mode="bilinear") > 0.75
    regions = regions.float() * (torch.arange(2 * batch) % 2).view(-1, 1, 1, 1)
    labels = regions.flatten(1).amax(1)

    def focal(p, truth):
        entropy = functional.binary_cross_entropy(p, truth, reduction="none")
        return (entropy * (1 - (p * truth + (1 - p) * (1 - truth)))**4).mean()

    def frozen():
        return features(network)[1:]

    def step(layers):
        x = [functional.interpolate(x, (side, side), mode="bilinear", align_corners=True) for x in layers]
        x = functional.avg_pool2d(torch.cat(x, 1), 3, 1, 1)
        adapted = adaptor(x)
        noise = torch.normal(0, 0.015, (2 * batch, count, side, side)) * regions
        seen = torch.cat([x, x]) + noise
        m = seg(torch.cat([adapted, adapted]) + noise)
        known = m.detach()
        y = around(torch.cat([seen, known], 1))
        flat = [y.amax((2, 3)), y.mean((2, 3)), known.amax((2, 3)), known.mean((2, 3))]
        score = last(torch.cat(flat, 1))[:, 0]
        good, bad = m[regions == 0], m[regions > 0]
        take_step([adamw], (good + 0.5).clip(0).mean() + (0.5 - bad).clip(0).mean() +
                  focal(torch.sigmoid(m), regions) + focal(torch.sigmoid(score), labels))
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


def fastflow():
    class Block(nn.Module):
        """FrEIA's, up to its release 0.2: the permutation is a 1x1 convolution."""
        def __init__(self, channels, kernel):
            super().__init__()
            self.half, passive = channels // 2, channels - channels // 2
            self.subnet = nn.Sequential(
                nn.Conv2d(passive, passive, kernel, padding=kernel // 2), nn.ReLU(),
                nn.Conv2d(passive, 2 * self.half, kernel, padding=kernel // 2))
            self.scale = nn.Parameter(torch.full((1, channels, 1, 1), 9.98648))
            self.offset = nn.Parameter(torch.zeros(1, channels, 1, 1))
            order = torch.eye(channels)[torch.randperm(channels)]
            self.permutation = nn.Parameter(order[:, :, None, None], requires_grad=False)

        def forward(self, x):
            x1, x2 = x.split([x.shape[1] - self.half, self.half], 1)
            a = self.subnet(x1) * 0.1
            j = 2 * torch.tanh(a[:, :self.half])
            g = 0.1 * functional.softplus(self.scale, 0.5)
            y = torch.cat([x1, x2 * j.exp() + a[:, self.half:]], 1) * g + self.offset
            determinant = j.sum((1, 2, 3)) + x[0, 0].numel() * g.log().sum()
            return functional.conv2d(y, self.permutation), determinant

    widths = (64, 128, 256)
    norms = nn.ModuleList(nn.LayerNorm((n, size * 16 // n, size * 16 // n)) for n in widths)
    flows = nn.ModuleList(nn.ModuleList(Block(n, 3 - 2 * (i % 2)) for i in range(8)) for n in widths)
    learned = [*norms.parameters(), *(p for p in flows.parameters() if p.requires_grad)]
    adam = torch.optim.Adam(learned, lr=1e-3, weight_decay=1e-5)

    def frozen():
        return features(network)

    def step(layers):
        loss = 0
        for x, norm, flow in zip(layers, norms, flows):
            x, total = norm(x), 0
            for block in flow:
                x, determinant = block(x)
                total = total + determinant
            loss = loss + (0.5 * (x**2).sum((1, 2, 3)) - total).mean()
        take_step([adam], loss)
    return frozen, step


def csflow():
    hidden, channels = 64, 256

    class Cross(nn.Module):
        def __init__(self, kernel):
            super().__init__()

            def convolution(inputs, outputs, stride=1):
                return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
            half = channels // 2
            self.gamma = nn.ParameterList(nn.Parameter(torch.zeros(1)) for _ in range(3))
            self.first = nn.ModuleList(convolution(half, hidden) for _ in range(3))
            self.same = nn.ModuleList(convolution(hidden, channels) for _ in range(3))
            self.up = nn.ModuleList(convolution(hidden, channels) for _ in range(2))
            self.down = nn.ModuleList(convolution(hidden, channels, 2) for _ in range(2))

        def forward(self, maps):
            h = [functional.leaky_relu(c(x), 0.1) for c, x in zip(self.first, maps)]
            out = [c(x) for c, x in zip(self.same, h)]
            for i in range(2):
                large = functional.interpolate(h[i + 1], scale_factor=2, mode="bilinear")
                out[i] = out[i] + self.up[i](large)
                out[i + 1] = out[i + 1] + self.down[i](h[i])
            return [x * g for x, g in zip(out, self.gamma)]

    kernels = (3, 3, 3, 5)
    subnets = nn.ModuleList(nn.ModuleList([Cross(k), Cross(k)]) for k in kernels)
    orders = [[torch.randperm(channels) for _ in range(3)] for _ in kernels]
    adam = torch.optim.Adam(subnets.parameters(), lr=2e-4, eps=1e-4, weight_decay=1e-5)

    def frozen():
        global images
        whole, out = images, []
        for s in range(3):
            images = whole[..., ::2**s, ::2**s]
            out.append(features(network)[2])
        images = whole
        return out

    def couple(subnet, looked, moved):
        out, total = [], 0
        for r, x in zip(subnet(looked), moved):
            scale = 3 * 0.636 * torch.atan(r[:, :channels // 2] / 3)
            out.append(scale.exp() * x + r[:, channels // 2:])
            total = total + scale.sum((1, 2, 3))
        return out, total

    def step(maps):
        determinant = 0
        for (s1, s2), order in zip(subnets, orders):
            maps = [x[:, o] for x, o in zip(maps, order)]
            first, second = zip(*(x.chunk(2, 1) for x in maps))
            first, a = couple(s2, second, first)
            second, b = couple(s1, first, second)
            determinant = determinant + a + b
            maps = [torch.cat(pair, 1).clamp(-1e6, 1e6) for pair in zip(first, second)]
        z = torch.cat([x.flatten(1) for x in maps], 1)
        loss = (0.5 * (z**2).sum(1) - determinant).mean() / z.shape[1]
        take_step([adam], loss, learned=subnets.parameters())
    return frozen, step


def prn():
    """Projections by multiplying and adding: as depthwise convolutions, which the public code has, they
    take far longer. One prototype a level."""
    widths, sides = (64, 128, 256), (size // 4, size // 8, size // 16)
    sizes = [2**i for i in range(4) if sides[2] % 2**i == 0]

    def enlarge(x, factor):
        return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=True)

    def block(inputs, outputs):
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU())

    class Fusion(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.up = nn.ModuleDict({f"{i}{j}": nn.Conv2d(channels[i], channels[j], 1)
                                     for i in range(3) for j in range(i)})
            self.down = nn.ModuleDict({f"{i}{j}": nn.Conv2d(
                channels[i], channels[j], 2**(j - i) + 1, 2**(j - i), 2**(j - i - 1), groups=channels[i])
                for j in range(3) for i in range(j)})

        def forward(self, maps):
            out = list(maps)
            for name, path in self.up.items():
                i, j = int(name[0]), int(name[1])
                out[j] = out[j] + path(enlarge(maps[i], 2**(i - j)))
            for name, path in self.down.items():
                out[int(name[1])] = out[int(name[1])] + path(maps[int(name[0])])
            return out

    class Attention(nn.Module):
        def __init__(self, channels, side):
            super().__init__()
            self.scales = nn.ParameterList(nn.Parameter(torch.rand(3, channels * (side // n)**2))
                                           for n in sizes)
            self.offsets = nn.ParameterList(nn.Parameter(torch.rand(3, channels * (side // n)**2))
                                            for n in sizes)
            self.first = block(len(sizes) * channels, channels)
            self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels))
            self.shortcut = nn.Conv2d(len(sizes) * channels, channels, 1)

        def forward(self, x):
            n, c, h, w = x.shape
            seen = []
            for parts, scale, offset in zip(sizes, self.scales, self.offsets):
                p = h // parts
                tokens = x.reshape(n, c, parts, p, parts, p).permute(0, 2, 4, 1, 3, 5).reshape(n, parts**2, -1)
                q, k, v = (tokens * s + o for s, o in zip(scale, offset))
                v = torch.softmax(q @ k.transpose(1, 2) / q.shape[2], -1) @ v
                seen.append(v.reshape(n, parts, parts, c, p, p).permute(0, 3, 1, 4, 2, 5).reshape(x.shape))
            seen = torch.cat(seen, 1)
            return functional.relu(self.second(self.first(seen)) + self.shortcut(seen))

    doubled = [2 * c for c in widths]
    before, after = Fusion(widths), Fusion(doubled)
    attention = nn.ModuleList(nn.Sequential(*(Attention(c, s) for _ in range(3)))
                              for c, s in zip(doubled, sides))
    up = nn.ModuleList([block(512, 256), block(256, 128), block(128, 64)])
    merge = nn.ModuleList(nn.Sequential(block(3 * c, c), block(c, c)) for c in (256, 128, 64))
    out = nn.Sequential(block(64, 64), nn.Conv2d(64, 1, 3, 1, 1))
    learned = nn.ModuleList([before, after, attention, up, merge, out])
    adam = torch.optim.Adam(learned.parameters(), lr=1e-4, weight_decay=1e-2)
    masks = (torch.rand(batch, 1, size, size) > 0.9).float()
    prototypes = [torch.rand(1, c, s, s) for c, s in zip(widths, sides)]

    def frozen():
        layers = features(network)
        return [*layers, network.layer4(layers[2])]

    def step(layers):
        maps = layers[:3]
        apart = before([(f - p).square() for f, p in zip(maps, prototypes)])
        maps = [torch.cat(pair, 1) for pair in zip(before(maps), apart)]
        maps = after([a(x) for a, x in zip(attention, maps)])
        x = layers[3]
        for u, m, level in zip(up, merge, reversed(maps)):
            x = m(torch.cat([level, u(enlarge(x, 2))], 1))
        s = torch.sigmoid(out(enlarge(x, 4)))
        right = torch.where(masks > 0, s, 1 - s).clamp(min=2e-5)
        loss = functional.smooth_l1_loss(s, masks) - 2.5 * ((1 - right)**4 * right.log()).mean()
        take_step([adam], loss)
    return frozen, step


def regad():
    """Two supports beside each query, as targets of two images have; nothing of it is frozen."""
    supports = torch.rand(2 * batch, 3, size, size)

    class Transformer(nn.Module):
        def __init__(self, channels, side):
            super().__init__()
            places = 16 * ((side + 3) // 4)**2
            self.look = nn.Sequential(
                nn.Conv2d(channels, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
                nn.MaxPool2d(3, 2, 1),
                nn.Conv2d(64, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
                nn.MaxPool2d(3, 2, 1), nn.Flatten(),
                nn.Linear(places, 1024), nn.ReLU(inplace=True), nn.Linear(1024, 3))
            nn.init.zeros_(self.look[-1].weight)
            self.look[-1].bias.data = torch.tensor([0.0, 1.0, 1.0])

        def forward(self, x):
            angle, across, down = self.look(x).unbind(1)
            sine, cosine, none = angle.sin(), angle.cos(), torch.zeros_like(angle)
            rows = [torch.stack([cosine * across, -sine, none], 1),
                    torch.stack([sine, cosine * down, none], 1)]
            grid = functional.affine_grid(torch.stack(rows, 1), x.shape, align_corners=False)
            return functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)

    def pointwise(last):
        layers = []
        for _ in range(last):
            layers += [nn.Conv2d(256, 256, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU()]
        return nn.Sequential(*layers, nn.Conv2d(256, 256, 1, bias=False))

    net = torchvision.models.resnet18().train()
    sides = (size // 4, size // 8, size // 16)
    turns = nn.ModuleList(Transformer(c, n) for c, n in zip((64, 128, 256), sides))
    encoder, predictor = pointwise(2), pointwise(1)
    optimisers = [torch.optim.SGD(x, lr=1e-4, momentum=0.9) for x in (
        [*net.parameters(), *turns.parameters()], encoder.parameters(), predictor.parameters())]

    def run(x):
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        for layer, turn in zip((net.layer1, net.layer2, net.layer3), turns):
            x = turn(layer(x))
        return x

    def apart(p, z):
        return -functional.cosine_similarity(p, z.detach(), dim=1).mean() / 2

    def frozen():
        return images

    def step(queries):
        z1 = encoder(run(queries))
        maps = run(supports) / 2
        z2 = encoder(maps.view(batch, 2, *maps.shape[1:]).sum(1))
        take_step(optimisers, apart(predictor(z1), z2) + apart(predictor(z2), z1))
    return frozen, step


def dne():
    """The views are made in every step, as a loader makes them: Pillow's operations."""
    from PIL import Image
    from torchvision import transforms
    net = torchvision.models.vit_b_16()
    net.heads = nn.Linear(768, 2)
    net.conv_proj.requires_grad_(False)
    adam = torch.optim.Adam(net.parameters(), lr=1e-4, eps=4e-4, weight_decay=3e-5)
    jitter = transforms.ColorJitter(0.1, 0.1, 0.1, 0.1)
    finish = transforms.Compose([
        transforms.RandomRotation(90), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    pictures = [Image.fromarray((x.permute(1, 2, 0) * 255).byte().numpy()) for x in images]
    classes = torch.arange(2 * batch) // batch

    def pasted(image):
        image, side = image.copy(), size // 4
        x, y, left, top = torch.randint(size - side, (4,)).tolist()
        image.paste(image.crop((x, y, x + side, y + side)), (left, top))
        return image

    def frozen():
        originals = [jitter(x) for x in pictures]
        return torch.stack([finish(x) for x in originals] + [finish(pasted(x)) for x in originals])

    def step(views):
        take_step([adam], functional.cross_entropy(net(views), classes))
    return frozen, step


def uniad():
    grid, hidden, channels = size // 16, 256, 64 + 128 + 256
    count = grid * grid
    places = torch.arange(count)
    row, column = places // grid, places % grid
    near = ((row[:, None] - row).abs() <= 3) & ((column[:, None] - column).abs() <= 3)
    mask = torch.zeros(count, count).masked_fill(near & ~near.all(1, keepdim=True), float("-inf"))

    class Layer(nn.Module):
        def __init__(self, decodes):
            super().__init__()
            self.attention = nn.ModuleList(nn.MultiheadAttention(hidden, 8, dropout=0.1)
                                           for _ in range(2 if decodes else 1))
            self.queries = nn.Embedding(count, hidden) if decodes else None
            self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(3 if decodes else 2))
            self.wide = nn.Sequential(nn.Linear(hidden, 1024), nn.ReLU(), nn.Dropout(0.1),
                                      nn.Linear(1024, hidden), nn.Dropout(0.1))
            self.drop = nn.Dropout(0.1)

        def forward(self, x, memories, codes):
            if self.queries:
                x = torch.cat([self.queries.weight[:, None]] * batch, 1)
            for attend, norm, memory in zip(self.attention, self.norms, memories):
                memory = x if memory is None else memory
                seen = attend(x + codes, memory + codes, memory, attn_mask=mask)[0]
                x = norm(x + self.drop(seen))
            return self.norms[-1](x + self.wide(x))

    encoder = nn.ModuleList(Layer(False) for _ in range(4))
    decoder = nn.ModuleList(Layer(True) for _ in range(4))
    rows, columns = nn.Embedding(grid, hidden // 2), nn.Embedding(grid, hidden // 2)
    norm, narrow, widen = nn.LayerNorm(hidden), nn.Linear(channels, hidden), nn.Linear(hidden, channels)
    learned = nn.ModuleList([encoder, decoder, rows, columns, norm, narrow, widen])
    adamw = torch.optim.AdamW(learned.parameters(), lr=1e-4, weight_decay=1e-4)

    def frozen():
        return torch.cat([functional.interpolate(x, (grid, grid), mode="bilinear", align_corners=True)
                          for x in features(network)], 1)

    def step(maps):
        tokens = maps.flatten(2).permute(2, 0, 1)
        lengths = tokens.norm(dim=2, keepdim=True) / channels
        memory = narrow(tokens + torch.randn(tokens.shape) * lengths * 20)
        codes = torch.cat([columns.weight.repeat(grid, 1), rows.weight.repeat_interleave(grid, 0)], 1)[:, None]
        for layer in encoder:
            memory = layer(memory, [None], codes)
        x = memory
        for layer in decoder:
            x = layer(None, [memory, x], codes)
        loss = functional.mse_loss(widen(norm(x)), tokens)
        adamw.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learned.parameters(), 0.1)
        adamw.step()
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


bench = types.SimpleNamespace(batch=batch, size=size, images=images, network=network, features=features,
                              take_step=take_step)
others = {name: functools.partial(make, bench)
          for name, make in {**time_labelled.STEPS, **time_encoders.STEPS}.items()}
make_frozen, step = {"stpm": stpm, "cfa": cfa, "csflow": csflow, "dne": dne,
                     "dinomaly": functools.partial(time_dinomaly.dinomaly, bench),
                     "draem": functools.partial(time_draem.draem, bench), "fastflow": fastflow,
                     "simplenet": simplenet, "prn": prn, "rd4ad": rd4ad, "regad": regad,
                     "supersimplenet": supersimplenet, "uniad": uniad, **others}[detector]()


def frozen():
    with torch.no_grad():
        return make_frozen()


kept = frozen()
print(best(lambda: step(frozen())), best(lambda: step(kept)))
