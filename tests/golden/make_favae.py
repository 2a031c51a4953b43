#!/usr/bin/env python3
"""The public FAVAE and the IM-IAD code, trained from libimiad's first parameters on its batches.

    tests/golden/make_favae.py FAVAE OPEN_IAD SHARED [CASE...]
    tests/golden/make_favae.py train FAVAE SHARED EPOCHS SIZE BATCH [SEED [RATE]]
    tests/golden/make_favae.py checkpoint FAVAE SHARED SIZE FILE

The table is of four cases: make_favae.py FAVAE OPEN_IAD SHARED still still_iad procedural procedural_iad >
tests/golden/favae.csv
train: as many epochs of all training images as asked, then image and pixel AUROC, all that is random from
SEED, the VGG-16 too; in double precision where FAVAE_TYPE=double is set. checkpoint: writes FILE as their
EarlyStop does, of other random weights and of statistics that one batch moved, and prints the scores of some
images.

FAVAE is a checkout of github.com/xiahaifeng1995/FAVAE-anomaly-detection-localization-master, OPEN_IAD
one of github.com/M-3LAB/open-iad. SHARED holds the transistor images of MVTec AD. Their networks,
training loops and tests are run; the VGG-16 has libimiad's random weights of seed 0, for the weights
of ImageNet were not at hand. For images of 32 x 32 pixels the kernels to and from the code, 8 x 8 for
128 pixels, are 2 x 2.

official, open_iad: ten steps of each on images 000 to 019 at 32 x 32 in batches of 2, the losses, values of
every parameter after them and of the anomaly maps of some images, in double precision and how far single
precision comes to lie from it. still, still_iad: two steps of each with a rate of 0. procedural,
procedural_iad: ten steps of each on procedural images and features, in double precision.
The first parameters, orders and noise are libimiad's random streams, computed here once more.
Needs torch, numpy, SciPy and Pillow.
"""
import importlib.util
import os
import sys
import types

import numpy
import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.modules.setdefault("torchvision", types.ModuleType("torchvision"))
from make_stpm import (apart, line, normal, print_epochs, print_runs, procedural, sample,  # noqa: E402
                       shuffled, spread, stream, test_aurocs, training_names)

SEED, STEPS, BATCH, SIZE = 66, 10, 2, 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TESTED = ("test/bent_lead/000.png", "test/good/000.png", "test/misplaced/004.png")


# ---- what both sides begin with ----

def uniform(seed, purpose, shape, bound):
    """Of lib/bridge's t_uniform: 53 bits, scaled."""
    count = int(numpy.prod(shape))
    u = (stream(seed, purpose, count) >> numpy.uint64(11)).astype(numpy.float64) * 2.0**-53
    return torch.from_numpy((-bound + 2 * bound * u).astype(numpy.float32).reshape(shape))


def begin(model, size, seed=SEED):
    """libimiad's first parameters into the public networks, whose kernels fit the size."""
    side = size // 16
    model.encode[24] = torch.nn.Conv2d(32, 200, side)
    model.decode[1] = torch.nn.ConvTranspose2d(100, 32, side)
    for name, module in model.named_modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            bound = module.weight[0].numel() ** -0.5
            for part in ("weight", "bias"):
                value = getattr(module, part)
                value.data = uniform(seed, f"favae/{name}.{part}", tuple(value.shape), bound)
    return model


def make_vgg(seed=0):
    """torchvision's VGG-16 up to features.22, with libimiad's random weights."""
    layers, inputs = [], 3
    for outputs in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512):
        if outputs == 0:
            layers.append(torch.nn.MaxPool2d(2, 2))
            continue
        conv = torch.nn.Conv2d(inputs, outputs, 3, padding=1)
        conv.weight.data = normal(seed, f"weights/features.{len(layers)}",
                                  tuple(conv.weight.shape), (2 / (outputs * 9)) ** 0.5)
        conv.bias.data.zero_()
        layers += [conv, torch.nn.ReLU(inplace=True)]
        inputs = outputs
    teacher = torch.nn.Module()
    teacher.features = torch.nn.Sequential(*layers)
    for parameter in teacher.parameters():
        parameter.requires_grad = False
    return teacher


def load_image(path, size, normalized):
    from PIL import Image
    image = Image.open(path).convert("RGB").resize((size, size), Image.BILINEAR)
    x = torch.from_numpy(numpy.asarray(image, dtype=numpy.float32) / 255).permute(2, 0, 1)
    if normalized:
        x = (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    return x


class Noise:
    """The drawn codes of both codes, from libimiad's streams."""
    def __init__(self, model):
        self.model, self.step = model, 0
        model.reparameterize = self.draw

    def draw(self, mean, log_variance):
        if not self.model.training:
            return mean
        noise = normal(SEED, f"favae/noise/{self.step}", tuple(mean.shape), 1).to(mean.dtype)
        self.step += 1
        return mean + torch.exp(0.5 * log_variance) * noise


# ---- the two implementations ----

def load_module(name, path, **stubs):
    for stub, members in stubs.items():
        module = sys.modules.setdefault(stub, types.ModuleType(stub))
        module.__dict__.update(members)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module




def load_official(folder):
    """Their VAE class, train() and what it needs."""
    vae = load_module("favae_vae", f"{folder}/models/VAE.py", torchsummary={"summary": None})
    func = load_module("favae_func", f"{folder}/func.py", utils={"print_log": lambda *a: None})
    sys.modules["tqdm"] = types.SimpleNamespace(tqdm=lambda x, *a, **k: x)
    sys.modules["torchvision"].models = types.SimpleNamespace()
    stubs = {"torchvision.utils": {"save_image": None}, "datasets": {},
             "datasets.mvtec": {"MVTecDataset": None},
             "datasets.preprocessing": {"generate_image_list": None, "augment_images": None},
             "utils": {name: None for name in ("time_file_str", "time_string", "convert_secs2time")},
             "models": {}, "models.VAE": {"VAE": vae.VAE}}
    sys.modules["func"] = func
    stubs["utils"]["print_log"] = lambda *a: None

    class AverageMeter:
        losses = []

        def __init__(self):
            self.avg = 0

        def update(self, value, _):
            self.losses.append(value)
    stubs["utils"]["AverageMeter"] = AverageMeter
    train = load_module("favae_train", f"{folder}/train.py", **stubs)
    for name in stubs:
        sys.modules.pop(name)
    return vae.VAE, train, AverageMeter, func


def learned(model):
    return {name: value for name, value in model.state_dict().items() if "num_batches" not in name}


def blurred(score, rows):
    from scipy.ndimage import gaussian_filter
    if rows:
        return numpy.stack([gaussian_filter(row, sigma=4) for row in score])
    return gaussian_filter(score, sigma=4)


def anomaly_map(model, teacher, extract, image, rows):
    """Their test() for one image; the blur of a batch of one filters rows."""
    model.eval()
    with torch.no_grad():
        z, out, _, _ = model(image)
        s, _ = extract(z, model.decode, target_layers=["10", "16", "22"])
        t, _ = extract(image, teacher.features, target_layers=["7", "14", "21"])
        mse = torch.nn.MSELoss(reduction="none")
        score = mse(out, image).sum(1, keepdim=True)
        for i in range(len(s)):
            level = mse(model.adapter[i](s[-(i + 1)]), t[i]).sum(1, keepdim=True)
            score += torch.nn.functional.interpolate(level, size=image.size(2), mode="bilinear",
                                                     align_corners=False)
    return blurred(score.squeeze().numpy(), rows)


def batches(images, size=BATCH, epoch=0):
    order = shuffled(SEED, f"favae/order/{epoch}", len(images))
    return [torch.stack([images[j] for j in order[i:i + size]])
            for i in range(0, len(order), size)]


def run_official(folder, images, rate, type, mapped):
    vae, train, meter, func = load_official(folder)
    model, teacher = begin(vae(), SIZE).to(type), make_vgg().to(type)
    Noise(model)
    meter.losses.clear()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, weight_decay=1e-5)
    train.device = "cpu"
    train.train(types.SimpleNamespace(kld_weight=1.0), model, teacher, 1,
                [(x.to(type), None, None) for x in batches(images)], optimizer, None)
    state = {name: value.clone() for name, value in learned(model).items()}
    maps = {name: anomaly_map(model, teacher, func.feature_extractor, image[None].to(type), False)
            for name, image in mapped.items()}
    return list(meter.losses), state, maps


def run_open_iad(folder, data, type, mapped, rate=0.005, features=None):
    losses = []
    base = types.ModuleType("arch.base")

    class ModelBase:
        def __init__(self, config):
            self.config, self.device = config, "cpu"
    base.ModelBase = ModelBase
    for name in [n for n in sys.modules if n.split(".")[0] in ("arch", "models", "optimizer")]:
        sys.modules.pop(name)
    sys.modules["arch.base"] = base
    sys.modules["torchvision"].models = types.SimpleNamespace(vgg16=lambda pretrained: make_vgg())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import arch.favae as module

    class Net(module.NetFAVAE):
        def __init__(self):
            super().__init__()
            begin(self, SIZE)
            Noise(self)
    module.NetFAVAE = Net
    iad = module.FAVAE({"num_epochs": 1, "_kld_weight": 1.0, "_optimizer_name": "adam",
                        "_weight_decay": 0.00001, "_base_lr": rate})
    iad.vaenet.to(type), iad.teacher.to(type)
    inner = torch.Tensor.backward

    def backward(self, *a, **k):
        losses.append(self.item())
        return inner(self, *a, **k)
    torch.Tensor.backward = backward
    extract_own = iad.feature_extractor
    if features:
        iad.feature_extractor = lambda x, network, target_layers: (
            extract_own(x, network, target_layers) if network is iad.vaenet.decode else features())
    iad.train_model([{"img": x.to(type)} for x in data], 0)
    torch.Tensor.backward = inner
    state = {name: value.clone() for name, value in learned(iad.vaenet).items()}

    def extract(x, model, target_layers):
        return iad.feature_extractor(x, model, target_layers)
    maps = {name: anomaly_map(iad.vaenet, iad.teacher, extract, image[None].to(type), True)
            for name, image in mapped.items()}
    return losses, state, maps


def procedural_features(steps):
    step = next(steps)
    return [procedural((2, 128 << i, 16 >> i, 16 >> i), step + i) for i in range(3)], None


def procedural_images():
    return [0.5 * procedural((2, 3, SIZE, SIZE), 10 + step) for step in range(STEPS)]


def run_procedural(folder):
    """In double; the backbone's features are procedural, too."""
    vae, train, meter, func = load_official(folder)
    model = begin(vae(), SIZE).double()
    Noise(model)
    meter.losses.clear()
    steps = iter(range(STEPS))

    def extract(x, network, target_layers):
        if network is model.decode:
            return func.feature_extractor(x, network, target_layers)
        return procedural_features(steps)
    train.feature_extractor, train.device = extract, "cpu"
    teacher = torch.nn.Module()
    teacher.features = None
    data = [(x, None, None) for x in procedural_images()]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005, weight_decay=1e-5)
    train.train(types.SimpleNamespace(kld_weight=1.0), model, teacher, 1, data, optimizer, None)
    return list(meter.losses), learned(model), {}


def train(folder, shared, epochs, size, batch, seed=SEED, rate=0.005):
    """The public training from end to end, without images held out."""
    globals()["SEED"] = seed
    type = torch.float64 if os.environ.get("FAVAE_TYPE") == "double" else torch.float32
    vae, train, meter, func = load_official(folder)
    model, teacher = begin(vae(), size, seed).to(type), make_vgg(seed).to(type)
    Noise(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, weight_decay=1e-5)
    train.device = "cpu"
    images = [load_image(name, size, False).to(type) for name in training_names(shared)]
    for epoch in range(epochs):
        data = [(x, None, None) for x in batches(images, batch, epoch)]
        train.train(types.SimpleNamespace(kld_weight=1.0), model, teacher, epoch, data, optimizer, None)
    print_epochs(meter.losses, epochs)

    def mapped(path):
        image = load_image(path, size, False)[None].to(type)
        return anomaly_map(model, teacher, func.feature_extractor, image, False)
    test_aurocs(shared, mapped, size)


def checkpoint(folder, shared, size, path):
    vae, _, _, func = load_official(folder)
    model, teacher = begin(vae(), size, 1), make_vgg()
    model.train()
    with torch.no_grad():
        model(torch.stack([load_image(name, size, False) for name in training_names(shared)[:8]]))
    torch.save({"model": model.state_dict(), "optimizer": torch.optim.Adam(model.parameters()).state_dict()}, path)
    for name in TESTED:
        image = load_image(f"{shared}/data/mvtec_ad/transistor/{name}", size, False)[None]
        print(name, f"{anomaly_map(model, teacher, func.feature_extractor, image, False).max():.9g}")


def golden(official, open_iad, shared, *cases):
    root = f"{shared}/data/mvtec_ad/transistor"
    names = training_names(shared)[:STEPS * BATCH]
    unit = [load_image(name, SIZE, False) for name in names]
    shown = {name: load_image(f"{root}/{name}", SIZE, False) for name in TESTED}
    both = (torch.float64, torch.float32)
    if not cases or "still" in cases:
        print_runs("still", [run_official(official, unit[:4], 0.0, type, shown) for type in both])
    if not cases or "official" in cases:
        print_runs("official", [run_official(official, unit, 0.005, type, shown) for type in both])
    normalized = [load_image(name, SIZE, True) for name in names]
    shown = {name: load_image(f"{root}/{name}", SIZE, True) for name in TESTED}
    if not cases or "open_iad" in cases:
        print_runs("open_iad", [run_open_iad(open_iad, batches(normalized), type, shown) for type in both])
    if not cases or "still_iad" in cases:
        print_runs("still_iad", [run_open_iad(open_iad, batches(normalized[:4]), type, shown, 0.0)
                                 for type in both])
    if not cases or "procedural" in cases:
        print_runs("procedural", [run_procedural(official)])
    if not cases or "procedural_iad" in cases:
        steps = iter(range(STEPS))
        print_runs("procedural_iad", [run_open_iad(open_iad, procedural_images(), torch.float64, {},
                                                   features=lambda: procedural_features(steps))])


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "train":
        train(*sys.argv[2:4], *map(int, sys.argv[4:8]), *map(float, sys.argv[8:]))
    elif sys.argv[1] == "checkpoint":
        checkpoint(*sys.argv[2:4], int(sys.argv[4]), sys.argv[5])
    else:
        golden(*sys.argv[1:])
