#!/usr/bin/env python3
"""Golden values of PRN from the public re-implementation; the authors published none.

    tests/golden/make_prn.py PRNET > tests/golden/prn.csv
    tests/golden/make_prn.py PRNET SHARED RESULTS.json TEXTURES EPOCHS BATCH SIZE WIDTH BLOCKS RATE SEED...

PRNET is a checkout of github.com/xcyao00/PRNet (2cbf856): its models, losses and utils.py are run, in
double precision. Weights, maps and masks are numbers that this script and the test both compute
(`noise`), so nothing has to be stored. The backbone is replaced by maps of 2, 4, 8 and 16 channels of a
128 x 128 image; one block of attention a level instead of three.

    map,fusion|attention|decoder|network,NAME,NORM,SAMPLES...    results, evenly through them
    index,nearest,LEVEL,INDICES...    the prototypes nearest to the images of a batch
    loss,losses,WEIGHT,LOSS           of logits that include -1000 and 1000, focal loss weighted
    gradient,losses,WEIGHT,NORM,SAMPLES...
    loss,steps,STEP,LOSS              five steps of Adam as train.py takes them
    parameter,steps,NAME,NORM,SAMPLES...    after them, running statistics too

The second form trains on the transistor images, on the draw of defects that the library made
(examples/supervised --json), their data set, k-means, network, losses and step, with the textures
TEXTURES/*/*.jpg; then it prints AUROC and AP of the test images and AUROC, AP and AUPRO of their maps, for
each seed, and means and deviations over them. The backbone is the library's EfficientNet-Lite0 with the
default weights, by its Python bindings (IMIAD_LIBRARY), of which the WIDTH channels count that the library
draws, twice as many at each further level. There are BLOCKS blocks of attention a level. Random numbers
are their own.

Needs torch and numpy; a training imgaug, OpenCV, albumentations 1.0.3, scikit-image and scikit-learn too.
"""
import json
import os
import random
import sys
import tempfile
import types
import zlib

import numpy
import torch

from formula import noise
from make_devnet import judge, print_trained
from make_stpm import shuffled

SAMPLES, SIDE, IMAGES, PROTOTYPES = 16, 128, 3, 4
CHANNELS, SIDES = (2, 4, 8, 16), (32, 16, 8, 4)


def values(shape, seed, scale=1.0):
    return torch.from_numpy(scale * noise(int(numpy.prod(shape)), seed).reshape(shape))


def fill(network):
    """Every tensor from its name."""
    for name, value in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        v = noise(value.numel(), zlib.crc32(name.encode()) % 100000)
        if name.endswith("running_var"):
            v = 1 + 0.5 * v
        elif name.endswith("running_mean") or name.endswith("bias"):
            v = 0.1 * v
        elif value.dim() == 1:
            v = 1 + 0.1 * v
        else:
            v = v * (6 / value[0].numel()) ** 0.5
        value.copy_(torch.from_numpy(v.reshape(value.shape)))
    return network


def line(kind, case, name, value):
    v = value.detach().double().reshape(-1)
    at = [i * (v.numel() - 1) // (SAMPLES - 1) for i in range(SAMPLES)]
    numbers = [v.norm().item()] + [v[i].item() for i in at]
    print(",".join([kind, case, str(name)] + [f"{n:.9g}" for n in numbers]))


def maps(seed):
    """As a batch of images has them, after a ReLU."""
    return [values((IMAGES, c, s, s), 1000 * seed + i, 3.0).clamp(min=0)
            for i, (c, s) in enumerate(zip(CHANNELS, SIDES))]


def prototypes():
    return [values((PROTOTYPES, c, s, s), 500 + i, 3.0).clamp(min=0)
            for i, (c, s) in enumerate(zip(CHANNELS[:3], SIDES))]


def masks(seed):
    return (values((IMAGES, 1, SIDE, SIDE), 70000 + seed) > 0.6).double()


class Backbone(torch.nn.Module):
    """Gives the maps that are set."""
    out = [torch.zeros(1, c, s, s) for c, s in zip(CHANNELS, SIDES)]

    def forward(self, images):
        return list(self.out)


# ---- a training ----

class Lite0(torch.nn.Module):
    """Takes images that are normalised by ImageNet's numbers, which is not what its weights want."""
    LAYERS = ("blocks.1", "blocks.2", "blocks.4", "blocks.6")

    CHANNELS = (24, 40, 112, 320)

    def __init__(self, width, seed):
        import imiad
        super().__init__()
        self.chosen = [sorted(shuffled(seed, f"prn/channels/{i}", all_of)[:width << i])
                       for i, all_of in enumerate(self.CHANNELS)]
        self.network = imiad.Backbone("efficientnet_lite0", weights=os.path.expanduser(
            os.environ.get("IMIAD_WEIGHTS", "~/.cache/imiad/efficientnet-lite0-57934424.pth")))
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in self.network.input)
        wide, middle = torch.tensor([0.229, 0.224, 0.225]), torch.tensor([0.485, 0.456, 0.406])
        self.factor, self.offset = wide.view(1, 3, 1, 1) / std, (middle.view(1, 3, 1, 1) - mean) / std

    def forward(self, x):
        x = (x * self.factor + self.offset).numpy()
        return [torch.from_numpy(self.network.features(layer, x))[:, chosen].contiguous()
                for layer, chosen in zip(self.LAYERS, self.chosen)]


def transforms_stub():
    """What their data sets take of torchvision, where it is not installed."""
    class Compose:
        def __init__(self, parts):
            self.parts = parts

        def __call__(self, x):
            for part in self.parts:
                x = part(x)
            return x

    def to_tensor():
        return lambda x: torch.from_numpy(numpy.ascontiguousarray(numpy.atleast_3d(numpy.asarray(x))
                                                                  .transpose(2, 0, 1))).float() / 255

    def normalize(mean, std):
        return lambda x: (x - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
    names = {"Compose": Compose, "ToTensor": to_tensor, "Normalize": normalize, "RandomHorizontalFlip": None,
             "Resize": lambda size, how: lambda x: x.resize((size, size), how),
             "CenterCrop": lambda size: lambda x: x}
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.transforms"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(names)
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]


def shrink(root, folder, size):
    """The images at the size of the training, so that everything happens there, as in the library."""
    from PIL import Image
    for path, _, files in os.walk(root):
        inside = os.path.join(folder, "transistor", os.path.relpath(path, root))
        os.makedirs(inside, exist_ok=True)
        how, mode = (Image.NEAREST, "L") if "ground_truth" in path else (Image.BILINEAR, "RGB")
        for file in files:
            if file.endswith(".png"):
                Image.open(f"{path}/{file}").convert(mode).resize((size, size), how).save(f"{inside}/{file}")


def prototypes_of(model, images, share=0.1):
    from sklearn.cluster import KMeans
    with torch.no_grad():
        levels = zip(*(model.encoder(image[None])[:3] for image in images))
    out, count = [], int(share * len(images))
    for level in levels:
        rows = torch.cat(level)
        found = KMeans(n_clusters=count, random_state=0, n_init=10).fit(rows.flatten(1).numpy())
        out.append(torch.from_numpy(found.cluster_centers_.reshape(count, *rows.shape[1:])).float())
    return out


def draw_set(mvtec, folder, textures, tested, size):
    """Their data set of the images that the library did not test."""
    root = f"{folder}/transistor"

    def load_dataset_folder(self):
        good = sorted(f"{root}/train/good/{name}" for name in os.listdir(f"{root}/train/good"))
        drawn = [f"{kind}/{name}" for kind in sorted(os.listdir(f"{root}/test")) if kind != "good"
                 for name in sorted(os.listdir(f"{root}/test/{kind}")) if f"{kind}/{name}" not in tested]
        return (good, [0] * len(good), [None] * len(good), [f"{root}/test/{name}" for name in drawn],
                [1] * len(drawn), [f"{root}/ground_truth/{name[:-4]}_mask.png" for name in drawn])
    mvtec.TRAINMVTEC.load_dataset_folder = load_dataset_folder
    sizes = dict.fromkeys(("img_size", "crp_size", "msk_size", "msk_crp_size"), size)
    return mvtec.TRAINMVTEC(folder, textures, class_name="transistor", in_fg_region=False, **sizes)


def train_once(data, read, epochs, batch, size, blocks, rate):
    """What their train.py does; the network, its prototypes and the mean loss of each epoch."""
    from losses.focal_loss import FocalLoss
    from losses.smooth_l1_loss import SmoothL1Loss
    from models.attention import MultiSizeAttentionModule
    from models.prnet import PRNet
    loader = torch.utils.data.DataLoader(data, batch_size=batch, shuffle=True, drop_last=True)
    model = PRNet("", num_classes=1, input_size=(size, size), device=torch.device("cpu"))
    model.attn_module = MultiSizeAttentionModule([2 * n for n in model.feature_dimensions[:-1]],
                                                 model.heights[:-1], num_layers=blocks)
    centres = prototypes_of(model, [read(path) for path in data.n_imgs])
    smooth, focal = SmoothL1Loss(), FocalLoss(alpha=0.5, gamma=4)
    adam = torch.optim.Adam(model.parameters(), lr=rate, weight_decay=1e-2)
    means = []
    for epoch in range(epochs):
        model.train()
        losses = []
        for images, _, mask in loader:
            scores = torch.sigmoid(model(images, centres))
            loss = smooth(scores, mask.float()) + 5 * focal(torch.cat([1 - scores, scores], 1), mask.float())
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
        means.append(sum(losses) / len(losses))
    return model.eval(), centres, means


def train(aupro, shared, results, textures, epochs, batch, size, width, blocks, rate, seeds):
    from PIL import Image
    numpy.bool, Image.ANTIALIAS = bool, Image.LANCZOS
    timm = types.ModuleType("timm")
    sys.modules["timm"] = timm
    transforms_stub()
    from datasets import mvtec
    with open(results) as file:
        tested = sorted(i["path"].split("/test/")[1] for i in json.load(file)["categories"][0]["images"])
    with tempfile.TemporaryDirectory() as folder:
        shrink(f"{shared}/data/mvtec_ad/transistor", folder, size)
        root = f"{folder}/transistor"
        data = draw_set(mvtec, folder, textures, tested, size)

        def read(path):
            return data.normalize(data.transform_img(Image.open(path)))
        masks = numpy.zeros((len(tested), size, size), numpy.uint8)
        for mask, name in zip(masks, tested):
            if not name.startswith("good/"):
                with Image.open(f"{root}/ground_truth/{name[:-4]}_mask.png") as drawn:
                    mask[:] = numpy.asarray(drawn.convert("L")) > 0

        def one_seed(seed):
            random.seed(seed), numpy.random.seed(seed), torch.manual_seed(seed)
            timm.create_model = lambda *arguments, **named: Lite0(width, seed)
            model, centres, losses = train_once(data, read, epochs, batch, size, blocks, rate)
            with torch.no_grad():
                maps = numpy.stack([torch.sigmoid(model(read(f"{root}/test/{name}")[None], centres))[0, 0].numpy()
                                    for name in tested])
            scores = numpy.sort(maps.reshape(len(maps), -1))[:, -100:].mean(1)
            return losses, (*judge(scores, masks.any((1, 2))), *judge(maps, masks), aupro(maps, masks, 0.3))
        print_trained(seeds, ("image AUROC", "AP", "pixel AUROC", "AP", "AUPRO"), one_seed)


def main():
    sys.path.insert(0, sys.argv[1])
    if len(sys.argv) > 2:
        torch.set_num_threads(1)
        sys.path.append(os.path.join(os.path.dirname(__file__), "../bench"))
        from metrics_reference import aupro
        train(aupro, *sys.argv[2:5], *map(int, sys.argv[5:10]), float(sys.argv[10]), [int(s) for s in sys.argv[11:]])
        return
    torch.set_default_dtype(torch.float64)
    # the code's masks of classes are single precision, whatever the type of everything else
    torch.FloatTensor = lambda *shape: torch.zeros(*shape, dtype=torch.float32)
    timm = types.ModuleType("timm")
    timm.create_model = lambda *arguments, **named: Backbone()
    sys.modules["timm"] = timm
    from losses.focal_loss import FocalLoss
    from losses.smooth_l1_loss import SmoothL1Loss
    from models.attention import MultiSizeAttention, MultiSizeAttentionModule
    from models.modules import MultiScaleFusion
    from models.prnet import PRNet
    import utils

    with torch.no_grad():
        fusion = fill(MultiScaleFusion(CHANNELS[:3]))
        for i, out in enumerate(fusion(*maps(1)[:3])):
            line("map", "fusion", i + 1, out)
        attention = fill(MultiSizeAttention(4, 8)).eval()
        line("map", "attention", "eval", attention(values((2, 4, 8, 8), 11, 3.0)))
        line("map", "attention", "train", attention.train()(values((2, 4, 8, 8), 11, 3.0)))

        model = PRNet("resnet18", num_classes=1, input_size=(SIDE, SIDE), device="cpu")
        model.attn_module = MultiSizeAttentionModule([2 * c for c in CHANNELS[:3]], SIDES[:3],
                                                     num_layers=1)
        fill(model.double()).eval()

        class Replaced(torch.nn.Module):
            """In the place of everything before the decoder."""
            def forward(self, *arguments):
                return tuple(values((IMAGES, 2 * c, s, s), 900 + i) for i, (c, s)
                             in enumerate(zip(CHANNELS[:3], SIDES)))
        model.encoder.out = maps(2)
        fuser, model.ms_fuser2 = model.ms_fuser2, Replaced()
        line("map", "decoder", "logits", model(None, prototypes()))
        model.ms_fuser2 = fuser
        line("map", "network", "logits", model(None, prototypes()))

        found = utils.get_prototype_features(maps(2)[:3], prototypes())
        for i, own in enumerate(found):
            index = [[bool((p == one).all()) for p in prototypes()[i]].index(True) for one in own]
            print(",".join(["index", "nearest", str(i + 1)] + [str(k) for k in index]))

    smooth, focal = SmoothL1Loss(), FocalLoss(alpha=0.5, gamma=4)

    def loss_of(logits, mask, weight):
        """train.py's."""
        scores = torch.sigmoid(logits)
        first = smooth(scores, mask)
        return first + weight * focal(torch.cat([1 - scores, scores], dim=1), mask)

    for weight in (0, 5):
        logits = values((IMAGES, 1, SIDE, SIDE), 33, 4.0)
        logits.reshape(-1)[::7] = -1000
        logits.reshape(-1)[3::11] = 1000
        logits.requires_grad_(True)
        loss = loss_of(logits, masks(0), weight)
        loss.backward()
        print(f"loss,losses,{weight},{loss.item():.9g}")
        line("gradient", "losses", weight, logits.grad)

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, weight_decay=1e-2)
    model.train()
    for step in range(5):
        model.encoder.out = maps(10 + step)
        loss = loss_of(model(None, prototypes()), masks(step), 5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"loss,steps,{step},{loss.item():.9g}")
    for name, value in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            line("parameter", "steps", name, value)


main()
