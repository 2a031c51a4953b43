#!/usr/bin/env python3
"""The IM-IAD code's IGD, trained from libimiad's first parameters on its batches.

    tests/golden/make_igd.py OPEN_IAD MSSSIM SHARED > tests/golden/igd.csv
    tests/golden/make_igd.py OPEN_IAD MSSSIM SHARED EPOCHS BATCH WIDTH [SEED]

OPEN_IAD is a checkout of github.com/M-3LAB/open-iad, whose arch/igd.py and models/igd are those of the
authors' p256 (tianyu0207/IGD) but for the loop around them; MSSSIM one of github.com/VainF/pytorch-msssim,
which both use. SHARED holds the transistor images of MVTec AD.

Three epochs of eight images at 256 x 256 in batches of two, with networks of 4 channels where the code has
64, on the features of a ResNet-18 with libimiad's random weights of seed 0: losses of decoder and critic
in turn, values of every parameter afterwards, the centre, the spread, and the scores of some images, in
double precision and how far single precision comes to lie from it. And MS-SSIM of procedural images with
its gradient, in double precision:

    msssim,CASE,HEIGHTxWIDTH,VALUE,SAMPLES...   samples of the gradient with respect to the second image
    score,CASE,IMAGE,VALUE

The second form trains networks of WIDTH channels on all images for so many epochs, on the means of layer3 of
ResNet-18 with the weights of SHARED, which end there, and prints the image AUROC of all test images; in double
precision where IGD_TYPE=double is set.
The first parameters, orders and shares are libimiad's random streams, computed here once more.
Needs torch, numpy, SciPy and Pillow, a training torchvision and scikit-learn too.
"""
import glob
import os
import sys
import types

import numpy
import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.modules.setdefault("torchvision", types.ModuleType("torchvision"))
from make_stpm import line, normal, print_epochs, print_runs, sample, shuffled, training_names  # noqa: E402
from make_favae import load_image, uniform  # noqa: E402

SEED, IMAGES, BATCH, EPOCHS, WIDTH, LATENT, FEATURES = 66, 8, 2, 3, 4, 128, 512
TESTED = ("test/bent_lead/000.png", "test/good/000.png", "test/misplaced/004.png")


class Block(torch.nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = torch.nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.downsample = None
        if stride > 1:
            self.downsample = torch.nn.Sequential(torch.nn.Conv2d(inputs, outputs, 1, stride, bias=False))

    def forward(self, x):
        y = self.conv2(torch.relu(self.conv1(x)))
        return torch.relu(y + (self.downsample(x) if self.downsample else x))


class Frozen(torch.nn.Module):
    """The layers in single precision, an image computed once."""
    def __init__(self, layers):
        super().__init__()
        self.layers, self.seen = [torch.nn.Sequential(*layers)], {}

    def forward(self, x):
        rows = []
        for image in x:
            key = image[:, 100, :64].float().numpy().tobytes()
            if key not in self.seen:
                with torch.no_grad():
                    self.seen[key] = self.layers[0](image[None].float())[0]
            rows.append(self.seen[key])
        return torch.stack(rows).to(x.dtype)


def resnet18(pretrained=True):
    """torchvision's, with libimiad's random weights, whose batch norm is the identity."""
    layers = [torch.nn.Conv2d(3, 64, 7, 2, 3, bias=False), torch.nn.ReLU(),
              torch.nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    names = ["conv1", "relu", "maxpool"]
    for i, outputs in enumerate((64, 128, 256, 512)):
        layers.append(torch.nn.Sequential(Block(inputs, outputs, 2 if i else 1),
                                          Block(outputs, outputs, 1)))
        names.append(f"layer{i + 1}")
        inputs = outputs
    names += ["avgpool", "fc"]
    layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Linear(512, 1000)]
    for first, layer in zip(names, layers):
        for rest, module in layer.named_modules():
            if isinstance(module, torch.nn.Conv2d):
                shape = tuple(module.weight.shape)
                deviation = (2 / (shape[0] * shape[2] * shape[3])) ** 0.5
                name = f"{first}.{rest}" if rest else first
                module.weight.data = normal(0, f"weights/{name}", shape, deviation)
    network = torch.nn.Module()
    network.children = lambda: iter([Frozen(layers[:-1]), layers[-1]])
    return network


class Means(torch.nn.Module):
    """Of layer3, 256 numbers, and zeros behind them, for the code wants 512."""
    def __init__(self, shared):
        from make_fastflow import Extractor
        super().__init__()
        self.extractor = Extractor(shared).eval()

    def forward(self, x):
        return torch.nn.functional.pad(self.extractor(x)[2].mean((2, 3)), (0, 256))[:, :, None, None]


def resnet18_to_layer3(shared):
    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    import torchvision  # noqa: F401
    means = Means(shared)
    network = torch.nn.Module()
    network.children = lambda: iter([Frozen([means]), torch.nn.Identity()])
    return lambda pretrained=True: network


def begin(network, purpose):
    for name, module in network.named_modules():
        if name.startswith("pretrain"):
            continue
        if name == "ln11" and FEATURES < 512:
            module.weight.data.zero_()
            module.weight.data[:, :FEATURES] = uniform(SEED, f"{purpose}ln11.weight", (LATENT, FEATURES),
                                                       FEATURES ** -0.5)
            module.bias.data = uniform(SEED, f"{purpose}ln11.bias", (LATENT,), FEATURES ** -0.5)
            continue
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            bound = module.weight[0].numel() ** -0.5
            for part in ("weight", "bias"):
                value = getattr(module, part)
                if value is not None:
                    value.data = uniform(SEED, f"{purpose}{name}.{part}", tuple(value.shape), bound)


class Shares:
    """In place of torch.FloatTensor(n, 1).uniform_(0, 0.5)."""
    step = 0

    def __init__(self, type):
        self.type = type

    def __call__(self, *shape):
        self.shape = shape
        return self

    def uniform_(self, low, high):
        drawn = uniform(SEED, f"igd/share/{Shares.step}", self.shape, 0.25).double() + 0.25
        Shares.step += 1
        return drawn.float().to(self.type)


class Orders(list):
    """Shuffled epochs for training; each other pass, for centre and spread, in the images' order."""
    def __init__(self, images, counter):
        self.images, self.counter = images, counter
        super().__init__([None] * -(-len(images) // BATCH))

    def __iter__(self):
        order = list(range(len(self.images)))
        if self.counter["training"]:
            self.counter["training"] = False
            order = shuffled(SEED, f"igd/order/{self.counter['epoch']}", len(self.images))
            self.counter["epoch"] += 1
        for i in range(0, len(order), BATCH):
            yield {"img": torch.stack([self.images[j] for j in order[i:i + BATCH]])}


def load(open_iad, msssim, resnet18):
    base = types.ModuleType("arch.base")

    class ModelBase:
        def __init__(self, config):
            self.config, self.device = config, "cpu"

        def clear_all_list(self):
            self.img_pred_list, self.img_path_list, self.img_gt_list = [], [], []
    base.ModelBase = ModelBase
    sys.modules["arch.base"] = base
    sys.path[:0] = [open_iad, msssim]
    sys.modules["torchvision"].models = types.SimpleNamespace(resnet18=resnet18)
    for name in ("cv2", "matplotlib", "matplotlib.pyplot", "torchvision.transforms",
                 "torchvision.utils"):
        sys.modules.setdefault(name, types.ModuleType(name))
    import arch.igd as module
    return module


def run(module, images, type, shown):
    losses, counter = [], {"epoch": 0, "training": True}
    Shares.step = 0

    class Net:
        def __init__(self, _):
            import models.igd.mvtec_module as nets
            self.g = nets.twoin1Generator256(WIDTH, latent_dimension=LATENT).to(type)
            self.d = nets.VisualDiscriminator256(WIDTH).to(type)
            begin(self.g, "igd/generator/"), begin(self.d, "igd/critic/")
            self.g.to(type), self.d.to(type)
    module.NetIGD = Net
    proxy = types.SimpleNamespace(**torch.__dict__)
    proxy.FloatTensor = Shares(type)
    proxy.zeros = lambda *a, **k: torch.zeros(*a, **{**k, "dtype": type})
    proxy.tensor = lambda *a, **k: torch.tensor(*a, **{**k, "dtype": type})
    module.torch = proxy
    igd = module.IGD({"num_epochs": EPOCHS, "_max_epoch": EPOCHS, "train_batch_size": BATCH,
                      "_latent_dimension": LATENT, "_data_range": 4.7579, "_optimizer_name": "adam",
                      "_base_lr": 0.0001, "_gamma": 0.2, "_weight_decay": 0.000001})
    loader = Orders([x.to(type) for x in images], counter)
    # the loop's own pass over the loader is the one that no refresh has asked for
    inner_back = torch.Tensor.backward

    def backward(self, *a, **k):
        losses.append(self.item())
        return inner_back(self, *a, **k)
    torch.Tensor.backward = backward
    inner_iter = Orders.__iter__

    def each(self):
        asked = sys._getframe(1).f_code.co_name
        counter["training"] = asked == "train_model"
        return inner_iter(self)
    Orders.__iter__ = each
    igd.train_model(loader, 0)
    Orders.__iter__, torch.Tensor.backward = inner_iter, inner_back
    state = {f"generator.{n}": v.clone() for n, v in igd.generator.state_dict().items()
             if not n.startswith("pretrain") and "num_batches" not in n}
    state.update({f"critic.{n}": v.clone() for n, v in igd.discriminator.state_dict().items()})
    state["generator.c"] = igd.generator.c.detach()
    state["generator.sigma"] = igd.generator.sigma.detach().view(1)
    valid = [{"img": x[None].to(type), "label": torch.zeros(1), "img_src": n} for n, x in shown.items()]
    igd.prediction(valid, 0)
    return losses, state, dict(zip(shown, igd.img_pred_list))


def train(module, shared):
    from sklearn.metrics import roc_auc_score
    type = torch.float64 if os.environ.get("IGD_TYPE") == "double" else torch.float32
    tested = sorted(glob.glob(f"{shared}/data/mvtec_ad/transistor/test/*/*.png"))
    images = [load_image(n, 256, True) for n in training_names(shared)]
    losses, _, scores = run(module, images, type, {n: load_image(n, 256, True) for n in tested})
    print_epochs(losses, EPOCHS)
    print(f"image AUROC {roc_auc_score(['/good/' not in n for n in scores], list(scores.values())):.4f}")


def similarity(height, width):
    from pytorch_msssim import ms_ssim
    at = torch.arange(2 * 3 * height * width, dtype=torch.float64)
    a = torch.sin(0.013 * at).view(2, 3, height, width)
    b = (torch.sin(0.013 * at + 0.3) + 0.2 * torch.cos(0.37 * at)).view(2, 3, height, width)
    b.requires_grad_(True)
    value = ms_ssim(a, b, data_range=4.7579, size_average=True, win_size=11,
                    weights=[0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    value.backward()
    line("msssim", "pairs", f"{height}x{width}", float(value.detach()), *sample(b.grad)[0])


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) > 4:
        EPOCHS, BATCH, WIDTH, SEED = map(int, [*sys.argv[4:], "66"][:4])
        FEATURES = 256
        train(load(sys.argv[1], sys.argv[2], resnet18_to_layer3(sys.argv[3])), sys.argv[3])
        sys.exit()
    module = load(sys.argv[1], sys.argv[2], resnet18)
    for height, width in ((161, 161), (176, 176), (165, 187), (192, 170), (256, 256)):
        similarity(height, width)
    names = training_names(sys.argv[3])[:IMAGES]
    shown = {n: load_image(f"{sys.argv[3]}/data/mvtec_ad/transistor/{n}", 256, True) for n in TESTED}
    images = [load_image(n, 256, True) for n in names]
    runs = [run(module, images, type, shown) for type in (torch.float64, torch.float32)]
    print_runs("open_iad", [(losses, state, {}) for losses, state, _ in runs])
    for name, score in runs[0][2].items():
        line("score", "open_iad", name, score)
