#!/usr/bin/env python3
"""The authors' two codes of SuperSimpleNet, their modules and their training, on libimiad's numbers.

    tests/golden/make_supersimplenet.py ICPR JIMS [SHARED] > tests/golden/supersimplenet.csv

ICPR and JIMS are checkouts of github.com/blaz-r/SuperSimpleNet, at 60d1e74 (the code of the ICPR paper) and at
98ab4d5 (that of the journal's; found in the fork MikeSzklarz/SuperSimpleNet). Their model, losses and train() run
unchanged; what they import beside torch and is not used here is replaced by empty modules. Levels of a frozen network,
weights, noise, regions and masks are numbers that this script and the test both compute (formula.py), so nothing has
to be stored: 3 + 5 channels, 6 between the layers of the map's head.

    map|score,CASE,NAME,NORM,SAMPLES...    what the heads give while training (learn) and tested (judge)
    map,features,features|adapted,...      levels enlarged and averaged
    loss,CASE,0,LOSS                       of one step, by train()
    gradient,CASE,NAME,NORM,SAMPLES...     before clipping
    loss,steps,STEP,LOSS                   five steps by train(), clipped, with its optimiser
    parameter,steps,NAME,NORM,SAMPLES...   after them
    perlin,THRESHOLD,masks,EMPTY,AREA      of 20,000 masks of the authors' generator, none emptied on purpose: the
                                           share of empty ones, the mean share of their pixels that is set
    weights,K,dilated|weights,NORM,SAMPLES...    OpenCV's dilation and the authors' weights of five masks

With SHARED, which holds the transistor images of MVTec AD and the ResNet-18 weights, also the cases `jims` and `icpr10`:
ten steps of the two ways to score over images 000 to 019 at 64 pixels, two passes in batches of 4 in libimiad's order,
from its first parameters, with its regions and noise; then values of every parameter and of the maps of some images.

Needs torch, torchvision, numpy, OpenCV and SciPy; with SHARED Pillow too.
"""
import sys
import types
import zlib

import cv2
import numpy
import torch
from scipy.ndimage import distance_transform_edt  # the authors' data set uses it

import make_stpm
from formula import noise

SAMPLES, IMAGES, SIDES, CHANNELS, HIDDEN = 16, 3, ((5, 6), (3, 3)), (3, 5), 6
FEATURES, GRID = sum(CHANNELS), (2 * SIDES[0][0], 2 * SIDES[0][1])


class Anything(types.ModuleType):
    """A module that has every name, for what is imported and not used."""
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda self, *a, **k: None})


def bring_up_to_date():
    """What the authors' code needs of PyTorch 2, for 1.13."""
    schedules, squeeze = torch.optim.lr_scheduler, torch.Tensor.squeeze
    if not hasattr(schedules, "LRScheduler"):
        schedules.LRScheduler = schedules._LRScheduler

    def squeezed(tensor, dim=None):
        for d in sorted(dim, reverse=True) if isinstance(dim, tuple) else []:
            tensor = squeeze(tensor, d)
        return tensor if isinstance(dim, tuple) else squeeze(tensor) if dim is None else squeeze(tensor, dim)
    torch.Tensor.squeeze = squeezed


def load(folder):
    """The modules of a checkout, apart from those of another one."""
    for name in [n for n in sys.modules if n.split(".")[0] in ("model", "common", "datamodules", "train")]:
        del sys.modules[name]
    for name in ("pytorch_lightning", "torchmetrics", "anomalib", "anomalib.utils", "anomalib.utils.metrics",
                 "datamodules", "datamodules.base", "datamodules.ksdd2", "datamodules.sensum", "datamodules.mvtec",
                 "datamodules.visa", "common.visualizer", "common.results_writer"):
        sys.modules[name] = Anything(name)
    sys.path.insert(0, folder)
    import train
    import model.supersimplenet as network
    import model.feature_extractor as extractor
    sys.path.remove(folder)
    return types.SimpleNamespace(train=train, network=network, extractor=extractor)


# ---- numbers that the test computes too ----

def values(shape, seed, scale=1.0):
    return torch.from_numpy((scale * noise(int(numpy.prod(shape)), seed)).astype(numpy.float32).reshape(shape))


def fill(network):
    """Every tensor from its name, as tests/detectors/formula.h does."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("num_batches_tracked") or name.startswith("feature_extractor"):
                continue
            v = noise(value.numel(), zlib.crc32(name.encode()) % 100000)
            if name.endswith("running_var"):
                v = 1 + 0.5 * v
            elif name.endswith("running_mean") or name.endswith("bias"):
                v = 0.1 * v
            elif value.dim() == 1:
                v = 1 + 0.1 * v
            else:
                v = v * (3 / value[0].numel()) ** 0.5
            value.copy_(torch.from_numpy(v.reshape(value.shape)))
    return network


def levels(seed, count=IMAGES):
    return [values((count, c, *s), 1000 * seed + i, 3.0).clamp(min=0)
            for i, (c, s) in enumerate(zip(CHANNELS, SIDES))]


def masks(seed, count, share):
    return (values((count, 1, *GRID), seed) > 1 - 2 * share).float()


def line(kind, case, name, value):
    v = value.detach().double().reshape(-1)
    at = [i * (v.numel() - 1) // (SAMPLES - 1) for i in range(SAMPLES)]
    print(",".join([kind, case, str(name)] + [f"{n:.9g}" for n in [v.norm().item()] + [v[i].item() for i in at]]))


# ---- their model on levels instead of a network ----

class Levels(torch.nn.Module):
    """Stands where the frozen network does: a batch of images is the seed of their levels."""
    def forward(self, images):
        found = levels(int(images.reshape(-1)[0]), images.shape[0])
        return {"layer2": found[0], "layer3": found[1]}


def make_model(code, **config):
    config = dict({"noise": True, "perlin": True, "no_anomaly": "empty", "bad": True, "overlap": False,
                   "noise_std": 0.2, "perlin_thr": 0.2, "seg_lr": 0.0002, "dec_lr": 0.0002, "adapt_lr": 0.0001,
                   "gamma": 0.4, "epochs": 1, "stop_grad": True}, **config)
    made = {}

    class Extractor(code.extractor.FeatureExtractor):
        def __init__(self, backbone, layers, patch_size, image_size):
            torch.nn.Module.__init__(self)
            self.layers, self.feature_extractor = layers, Levels()
            self.pooler = torch.nn.AvgPool2d(patch_size, 1, patch_size // 2)
            self.feature_dim = (FEATURES, *GRID)
    kept = code.network.FeatureExtractor, code.network.Discriminator
    code.network.FeatureExtractor = Extractor
    code.network.Discriminator = lambda hidden_dim, **rest: kept[1](hidden_dim=HIDDEN, **rest)
    made = code.network.SuperSimpleNet(image_size=(32, 40), config=config)
    code.network.FeatureExtractor, code.network.Discriminator = kept
    return fill(made)


class Draws:
    """The noise of a step and its regions, in place of the generator's."""
    def __init__(self, model):
        self.step, self.model = -1, model
        model.anomaly_generator.generate_perlin = self.regions

    def normal(self, mean, std, size, **_):
        self.step += 1
        return values(size, 7000 + 10 * self.step, std)

    def regions(self, count):
        return masks(8000 + 10 * self.step, count, 0.15)


class Batches:
    def __init__(self, batches):
        self.batches = batches

    def train_dataloader(self):
        return self.batches


def train(code, model, batches, clip, draws=None, epochs=1):
    """Losses, and the gradients of the first step before they are clipped."""
    losses, gradients, draws = [], {}, draws or Draws(model)
    backward, kept = torch.Tensor.backward, torch.normal

    def watched(tensor, *a, **k):
        losses.append(tensor.item())
        backward(tensor, *a, **k)
        if not gradients:
            gradients.update({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    torch.Tensor.backward, torch.normal = watched, draws.normal

    class Bar:
        def __init__(self, **_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def set_postfix(self, **_):
            pass

        def update(self, _):
            pass
    code.train.tqdm = Bar
    try:
        code.train.train(model, epochs, Batches(batches), "cpu", {}, {}, clip_grad=clip, eval_step_size=1000)
    except UnboundLocalError:  # it returns what it measured, and nothing was
        pass
    torch.Tensor.backward, torch.normal = backward, kept
    return losses, gradients


def batch(seed, kind):
    """kind: good alone; a defect with a mask and one without among them."""
    labels = {"good": (0, 0, 0), "full": (0, 1, 1), "mixed": (0, 1, 1)}[kind]
    segmented = {"good": (1, 1, 1), "full": (1, 1, 1), "mixed": (1, 1, 0)}[kind]
    drawn = masks(9000 + seed, IMAGES, 0.1)[:, 0]
    for i in range(IMAGES):
        if not labels[i] or not segmented[i]:
            drawn[i] = 0
    weights = 1 + drawn * values((IMAGES, *GRID), 9500 + seed)
    return {"image": torch.full((IMAGES, 3, 32, 40), float(seed)), "mask": drawn, "label": torch.tensor(labels),
            "is_segmented": torch.tensor(segmented), "loss_mask": weights}


def module_cases(icpr, jims):
    x = levels(1)
    model = make_model(jims)
    f = model.feature_extractor(torch.full((IMAGES, 3, 32, 40), 1.0))
    line("map", "features", "features", f)
    line("map", "features", "adapted", model.feature_adaptor(f))
    del x
    for adapt in (False, True):
        model = make_model(jims, adapt_cls_feat=adapt).eval()
        with torch.no_grad():
            f = model.feature_extractor(torch.full((IMAGES, 3, 32, 40), 1.0))
            a = model.feature_adaptor(f)
            m, s = model.discriminator(a, a if adapt else f)
            line("map", f"judge{int(adapt)}", "map", m)
            line("map", f"judge{int(adapt)}", "score", s)
            line("map", f"judge{int(adapt)}", "blurred", model.anomaly_map_generator(m))
    for adapt in (0, 1):
        for stop in (0, 1):
            for kind in ("good", "full", "mixed"):
                case = f"{kind}{adapt}{stop}"
                model = make_model(jims, adapt_cls_feat=bool(adapt), stop_grad=bool(stop))
                losses, gradients = train(jims, model, [batch(1, kind)], False)
                print(f"loss,{case},0,{losses[0]:.9g}")
                for name, value in gradients.items():
                    line("gradient", case, name, value)
    # the older code has neither weights nor defects without masks
    model = make_model(icpr, stop_grad=False)
    plain = batch(1, "full")
    losses, gradients = train(icpr, model, [plain], False)
    print(f"loss,icpr,0,{losses[0]:.9g}")
    for name, value in gradients.items():
        line("gradient", "icpr", name, value)


def step_cases(jims):
    model = make_model(jims, stop_grad=False)
    losses, _ = train(jims, model, [batch(1 + i, "mixed") for i in range(5)], True)
    for i, loss in enumerate(losses):
        print(f"loss,steps,{i},{loss:.9g}")
    for name, value in model.state_dict().items():
        if not name.startswith("feature_extractor") and value.dim() > 0:
            line("parameter", "steps", name, value)


# ---- masks ----

def perlin_cases(jims):
    torch.manual_seed(0)
    generator = jims.network.AnomalyGenerator
    for threshold in (0.2, 0.6):
        g = generator(0, 0.015, 24, 20, FEATURES,
                      {"perlin_thr": threshold, "no_anomaly": "none"})
        found = g.generate_perlin(20000).float().mean((1, 2, 3))
        print(f"perlin,{threshold},masks,{(found == 0).double().mean():.9g},{found.double().mean():.9g}")


def weight_cases(folder):
    """distance_transform of the authors' data set, which is compiled alone: its module wants anomalib."""
    import ast
    source = open(f"{folder}/datamodules/base/dataset.py", encoding="utf-8").read()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == "distance_transform":
            scope = {"np": numpy, "cv2": cv2, "distance_transform_edt": distance_transform_edt}
            exec(compile(ast.Module([node], []), "dataset.py", "exec"), scope)
    for k, share in enumerate((0.02, 0.05, 0.1, 0.2, 0.001)):
        height, width = 40 + k, 57 - 3 * k
        mask = (noise(height * width, 300 + k).reshape(height, width) > 1 - 2 * share / 8).astype(numpy.float64)
        mask = cv2.dilate(mask, numpy.ones((3, 3)))
        dilated = cv2.dilate(mask, numpy.ones((7, 7)))
        line("map", f"weights{k}", "dilated", torch.from_numpy(dilated))
        line("map", f"weights{k}", "plain", torch.from_numpy(scope["distance_transform"](None, mask, 3, 2)))
        line("map", f"weights{k}", "weights", torch.from_numpy(scope["distance_transform"](None, dilated, 3, 2)))


# ---- whole steps ----

TRAINED, SIDE, SMALL, BATCH = 20, 64, 32, 4


class Numbers:
    """One of libimiad's streams, number by number, in the place of torch's generator."""
    def __init__(self, purpose):
        self.numbers, self.at = iter(make_stpm.stream(make_stpm.SEED, purpose, 60000)), 0

    def real(self):
        return float(next(self.numbers) >> numpy.uint64(11)) * 2.0**-53

    def randint(self, low, high, _size):
        cells = int(next(self.numbers) % numpy.uint64(high - low)) + low
        return torch.tensor([min(cells, (SIDE // 4).bit_length() - 1)])

    def rand(self, *size):
        count = int(numpy.prod(size))
        return torch.tensor([self.real() for _ in range(count)], dtype=torch.float32).reshape(size)


class Regions:
    """libimiad's regions of a step, and its noise, which is drawn where they are."""
    def __init__(self, model):
        self.step, self.generate = -1, model.anomaly_generator.generate_perlin
        model.anomaly_generator.generate_perlin = self.regions

    def normal(self, mean, std, size, **_):
        self.step, self.std = self.step + 1, std
        self.noise = torch.zeros(size)
        return self.noise

    def regions(self, count):
        numbers, kept = Numbers(f"supersimplenet/regions/{self.step}"), (torch.randint, torch.rand)
        torch.randint, torch.rand = numbers.randint, numbers.rand
        found = self.generate(count)
        torch.randint, torch.rand = kept
        rows = self.noise.permute(0, 2, 3, 1)
        where = found[:, 0] > 0
        rows[where] = make_stpm.normal(make_stpm.SEED, f"supersimplenet/noise/{self.step}",
                                       (int(where.sum()), rows.shape[3]), self.std)
        return found


class Passes:
    """Another order in each epoch."""
    def __init__(self, images):
        self.images, self.epoch = images, 0

    def __len__(self):
        return len(self.images) // BATCH

    def __iter__(self):
        order = make_stpm.shuffled(make_stpm.SEED, f"supersimplenet/order/{self.epoch}", len(self.images))
        self.epoch += 1
        for i in range(0, len(order), BATCH):
            images = torch.stack([self.images[j] for j in order[i:i + BATCH]])
            yield {"image": images, "mask": torch.zeros(BATCH, SIDE, SIDE),
                   "label": torch.zeros(BATCH), "is_segmented": torch.ones(BATCH)}


def begin(model):
    """Xavier's weights and PyTorch's biases from libimiad's streams."""
    for name, module in model.named_modules():
        if not isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)) or name.startswith("feature_extractor"):
            continue
        shape = tuple(module.weight.shape)
        field, purpose = int(numpy.prod(shape[2:])), f"supersimplenet/{name}"
        deviation = (2 / ((shape[0] + shape[1]) * field))**0.5
        module.weight.data = make_stpm.normal(make_stpm.SEED, purpose + ".weight", shape, deviation)
        if module.bias is not None:
            bound = (shape[1] * field)**-0.5
            u = (make_stpm.stream(make_stpm.SEED, purpose + ".bias", shape[0]) >> numpy.uint64(11)).astype(float)
            module.bias.data = torch.from_numpy((-bound + 2 * bound * u * 2.0**-53).astype(numpy.float32))


def whole_case(code, shared, case, adapt):
    network = make_stpm.make_resnet18(shared)(True).eval()

    class Extractor(code.extractor.FeatureExtractor):
        def __init__(self, backbone, layers, patch_size, image_size):
            torch.nn.Module.__init__(self)
            self.layers, self.pooler = layers, torch.nn.AvgPool2d(patch_size, 1, patch_size // 2)
            self.feature_extractor = code.extractor.create_feature_extractor(network, return_nodes=layers)
            self.feature_dim = (384, SIDE // 4, SIDE // 4)
    kept = code.network.FeatureExtractor, code.network.Discriminator
    code.network.FeatureExtractor = Extractor
    code.network.Discriminator = lambda hidden_dim, **rest: kept[1](hidden_dim=SMALL, **rest)
    config = {"noise": True, "perlin": True, "no_anomaly": "empty", "bad": True, "overlap": True, "noise_std": 0.2,
              "perlin_thr": 0.2, "seg_lr": 0.0002, "dec_lr": 0.0002, "adapt_lr": 0.0001, "gamma": 0.4, "epochs": 2,
              "stop_grad": True, "adapt_cls_feat": adapt}
    model = code.network.SuperSimpleNet(image_size=(SIDE, SIDE), config=config)
    code.network.FeatureExtractor, code.network.Discriminator = kept
    begin(model)
    images = make_stpm.load_images(make_stpm.training_names(shared)[:TRAINED], SIDE)
    for i, loss in enumerate(train(code, model, Passes(images), False, Regions(model), 2)[0]):
        print(f"loss,{case},{i},{loss:.9g}")
    for name, value in model.state_dict().items():
        if not name.startswith("feature_extractor") and value.dim() > 0:
            line("parameter", case, name, value)
    model.eval()
    for name in make_stpm.TESTED:
        image = make_stpm.load_images([f"{shared}/data/mvtec_ad/transistor/{name}"], SIDE)[0][None]
        with torch.no_grad():
            found, score = model(image)
        found = torch.sigmoid(found).reshape(-1)
        at = [i * (found.numel() - 1) // (SAMPLES - 1) for i in range(SAMPLES)]
        numbers = [torch.sigmoid(score).item(), found.max().item()] + [found[i].item() for i in at]
        print(",".join(["map", case, name] + [f"{n:.9g}" for n in numbers]))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    bring_up_to_date()
    old, new = load(sys.argv[1]), load(sys.argv[2])
    module_cases(old, new)
    step_cases(new)
    perlin_cases(new)
    weight_cases(sys.argv[2])
    if len(sys.argv) > 3:
        whole_case(new, sys.argv[3], "jims", False)
        whole_case(new, sys.argv[3], "icpr10", True)
