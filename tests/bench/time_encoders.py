"""Training steps of the detectors that learn to encode or to draw whole images, for time_training.py.

CutPaste's views are made in every step, as its loader makes them, by Pillow's operations. FAVAE's decoder runs
once in a step, where the public code runs it twice. IGD has 16 channels where the public code has 64.
"""
import torch
import torchvision
from torch import nn
from torch.nn import functional


def cutpaste(bench):
    """Three ways, with the parts of torchvision that the public code calls; the sizes of its pieces in the middle."""
    from PIL import Image
    from torchvision import transforms
    net = torchvision.models.resnet18().train()
    net.fc = nn.Identity()
    head = nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(inplace=True),
                         nn.Linear(512, 128), nn.BatchNorm1d(128), nn.ReLU(inplace=True), nn.Linear(128, 3))
    sgd = torch.optim.SGD([*net.parameters(), *head.parameters()], lr=0.03, momentum=0.9, weight_decay=3e-5)
    jitter = transforms.ColorJitter(0.1, 0.1, 0.1, 0.1)
    finish = transforms.Compose([
        transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    pictures = [Image.fromarray((x.permute(1, 2, 0) * 255).byte().numpy()) for x in bench.images]
    classes = torch.arange(3 * bench.batch) // bench.batch
    size = bench.size

    def piece(image, width, height):
        x, y = (int(torch.rand(1) * (size - side)) for side in (width, height))
        return jitter(image.crop((x, y, x + width, y + height)))

    def place(image, cut, mask=None):
        image = image.copy()
        x, y = (int(torch.rand(1) * (size - side)) for side in cut.size)
        image.paste(cut, (x, y), mask)
        return image

    def patch(image):
        side = int(0.29 * size)
        return place(image, piece(image, side, side))

    def scar(image):
        cut = piece(image, 9, 17).convert("RGBA").rotate(float(torch.rand(1) * 90 - 45), expand=True)
        return place(image, cut.convert("RGB"), cut.split()[-1])

    def frozen():
        originals = [jitter(x) for x in pictures]
        views = originals + [patch(x) for x in originals] + [scar(x) for x in originals]
        return torch.stack([finish(x) for x in views])

    def step(views):
        bench.take_step([sgd], functional.cross_entropy(head(net(views)), classes))
    return frozen, step


def favae(bench):
    def layer(inputs, outputs, kernel, stride, padding, kind=nn.Conv2d):
        return [kind(inputs, outputs, kernel, stride, padding), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]

    def up(*sizes):
        return layer(*sizes, kind=nn.ConvTranspose2d)
    side, latent = bench.size // 16, 100
    encoder = nn.Sequential(
        *layer(3, 128, 4, 2, 1), *layer(128, 128, 4, 2, 1), *layer(128, 256, 3, 1, 1), *layer(256, 256, 4, 2, 1),
        *layer(256, 512, 3, 1, 1), *layer(512, 512, 4, 2, 1), *layer(512, 512, 3, 1, 1), *layer(512, 32, 3, 1, 1),
        nn.Conv2d(32, 2 * latent, side))
    decoder = nn.ModuleList([
        *up(latent, 32, side, 1, 0), *up(32, 512, 3, 1, 1), *up(512, 512, 3, 1, 1), *up(512, 512, 4, 2, 1),
        *up(512, 256, 3, 1, 1), *up(256, 256, 4, 2, 1), *up(256, 128, 3, 1, 1), *up(128, 128, 4, 2, 1),
        nn.ConvTranspose2d(128, 3, 4, 2, 1), nn.Sigmoid()])
    taps = (15, 9, 6)  # outputs of convolutions whose grids are those of layer1, layer2 and layer3
    adapters = nn.ModuleList(nn.Sequential(nn.Conv2d(inner, inner, 1), nn.ReLU(), nn.Conv2d(inner, outer, 1))
                             for inner, outer in ((256, 64), (512, 128), (512, 256)))
    learned = nn.ModuleList([encoder, decoder, adapters])
    adam = torch.optim.Adam(learned.parameters(), lr=0.005, weight_decay=1e-5)

    def frozen():
        return bench.features(bench.network)

    def step(targets):
        mean, log_variance = encoder(bench.images).flatten(1).chunk(2, 1)
        x, tapped = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean), {}
        x = x[:, :, None, None]
        for place, module in enumerate(decoder):
            x = module(x)
            tapped[place] = x
        loss = functional.mse_loss(x, bench.images, reduction="sum")
        for tap, adapter, target in zip(taps, adapters, targets):
            loss = loss + functional.mse_loss(adapter(tapped[tap]), target, reduction="sum")
        divergence = 0.5 * (log_variance.exp() + mean**2 - 1 - log_variance).sum()
        bench.take_step([adam], loss + divergence)
    return frozen, step


RANGE, WEIGHTS = 4.7579, (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ms_ssim(a, b):
    """As pytorch-msssim computes it, from a window of 11 of deviation 1.5."""
    window = torch.exp(-(torch.arange(11.0) - 5)**2 / (2 * 1.5**2))
    window = (window / window.sum()).expand(3, 1, 1, 11)

    def blur(x):
        x = functional.conv2d(x, window.transpose(2, 3), groups=3)
        return functional.conv2d(x, window, groups=3)

    terms = []
    for scale, weight in enumerate(WEIGHTS):
        mean_a, mean_b = blur(a), blur(b)
        c1, c2 = (0.01 * RANGE)**2, (0.03 * RANGE)**2
        of_a, of_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
        found = (2 * (blur(a * b) - mean_a * mean_b) + c2) / (of_a + of_b + c2)
        if scale == len(WEIGHTS) - 1:
            found = found * (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        terms.append(functional.relu(found.flatten(2).mean(2))**weight)
        a, b = (functional.avg_pool2d(x, 2, padding=x.shape[2] % 2) for x in (a, b))
    return torch.stack(terms).prod(0).mean()


class Resampled(nn.Module):
    """A residual block that doubles sides, with batch norms that stay as they are, or halves them."""
    def __init__(self, inputs, outputs, side, doubles):
        super().__init__()
        self.doubles, inner = doubles, outputs if doubles else inputs
        self.norms = nn.ModuleList([nn.BatchNorm2d(inputs), nn.BatchNorm2d(inner)] if doubles else
                                   [nn.LayerNorm([inputs, side, side]), nn.LayerNorm([inputs, side, side])])
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.first = nn.Conv2d(inputs, inner, 3, 1, 1, bias=False)
        self.second = nn.Conv2d(inner, outputs, 3, 1, 1)

    def forward(self, x):
        y = functional.relu(self.norms[0](x))
        if self.doubles:
            shortcut = self.shortcut(functional.interpolate(x, scale_factor=2))
            y = self.first(functional.interpolate(y, scale_factor=2))
            return shortcut + self.second(functional.relu(self.norms[1](y)))
        shortcut = self.shortcut(functional.avg_pool2d(x, 2))
        y = functional.relu(self.norms[1](self.first(y)))
        return shortcut + functional.avg_pool2d(self.second(y), 2)


def igd(bench):
    size, width, latent, grid = bench.size, 16, 128, bench.size // 64
    project, start = nn.Linear(512, latent), nn.Linear(latent, grid * grid * 8 * width)
    falling = [8 * width, 8 * width, 4 * width, 2 * width, width]
    decoder = nn.Sequential(
        nn.Upsample(scale_factor=2), nn.Conv2d(8 * width, 8 * width, 3, 1, 1),
        *(Resampled(a, b, 0, True) for a, b in zip(falling, falling[1:])),
        nn.BatchNorm2d(width), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(width, 3, 5, 1, 2)).eval()
    rising = [width, 2 * width, 4 * width, 8 * width, 8 * width]
    critic = nn.Sequential(
        nn.Conv2d(3, width, 5, 2, 2),
        *(Resampled(a, b, size >> (i + 1), False) for i, (a, b) in enumerate(zip(rising, rising[1:]))),
        nn.Conv2d(8 * width, 8 * width, 3, 2, 1), nn.Flatten(), nn.Linear(grid * grid * 8 * width, 1))
    makers = [*project.parameters(), *start.parameters(), *decoder.parameters()]
    adam_g = torch.optim.Adam(makers, lr=1e-4, betas=(0, 0.9), weight_decay=1e-6)
    adam_d = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0, 0.9))
    centre, images = torch.full((1, latent), 0.1), bench.images

    def generate(z):
        return decoder(start(z).view(len(z), 8 * width, grid, grid))

    def judge(x):
        return critic(x)[:, 0]

    def frozen():
        deepest = bench.network.layer4(bench.features(bench.network)[2])
        return deepest.mean((2, 3))

    def step(rows):
        z = project(rows)
        found, others = generate(z), z.flip(0)
        lost = 0.85 * (1 - ms_ssim(images, found)) + 0.15 * (images - found).abs().mean() / RANGE
        shares = torch.rand(len(z), 1) / 2
        mixed = shares * z + (1 - shares) * others
        betrayed = judge(generate(mixed)).square().mean()
        apart = (1 - torch.exp(-(z - centre).square().sum(1))).mean()
        bench.take_step([adam_g], lost + apart + 0.1 * betrayed)
        adam_d.zero_grad()
        with torch.no_grad():
            found = generate(project(rows))
            drawn, mended = generate(mixed), found + 0.2 * (images - found)
        told = (judge(drawn) - shares).square().mean() + judge(mended).square().mean()
        bench.take_step([adam_d], told)
    return frozen, step


STEPS = {"cutpaste": cutpaste, "favae": favae, "igd": igd}
