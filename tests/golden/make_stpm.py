#!/usr/bin/env python3
"""Two public implementations of STPM, trained from libimiad's first parameters on its batches.

    tests/golden/make_stpm.py golden STPM OPEN_IAD SHARED > tests/golden/stpm.csv
    tests/golden/make_stpm.py train STPM SHARED EPOCHS [SIZE [SAVE]]
    tests/golden/make_stpm.py compare STPM SHARED SAVED_DETECTOR

STPM is a checkout of github.com/hcw-00/STPM_anomaly_detection (its legacy/train.py is run: model,
loss, training loop, anomaly map), OPEN_IAD one of github.com/M-3LAB/open-iad (arch/stpm.py and its
optimiser). The authors' own repository, gdwang08/STFPM, was not at hand. SHARED holds the transistor
images of MVTec AD at 256 x 256 and the ResNet-18 weights.

golden: ten steps of each on images 000 to 079 in batches of 8, its loss at each, then values of
every parameter and of the anomaly map of some images. train: as many epochs as asked, from the
same first parameters in libimiad's order, then the image and pixel AUROC as their test computes it.
compare: relative L2 between the official parameters after the ten steps and a detector's file.
The first parameters and the orders are libimiad's random streams, computed here once more.
Needs torch, torchvision, numpy, Pillow and scikit-learn.
"""
import glob
import hashlib
import importlib.util
import json
import os
import struct
import sys
import types

import numpy
import torch
import torchvision

SEED, STEPS, BATCH, SAMPLES = 66, 10, 8, 16
TESTED = ("test/bent_lead/000.png", "test/good/000.png", "test/misplaced/004.png")


# ---- libimiad's random streams: lib/base/random.h ----

def stream(seed, purpose, count):
    """The first `count` 64-bit numbers of a stream: Philox4x32-10."""
    digest = hashlib.sha256(struct.pack("<Q", seed) + purpose.encode()).digest()
    key = list(struct.unpack("<II", digest[:8]))
    blocks = numpy.arange((count + 1) // 2, dtype=numpy.uint64)
    low, mask = numpy.uint64(32), numpy.uint64(0xFFFFFFFF)
    zero = numpy.zeros_like(blocks)
    x = [blocks & mask, blocks >> low, zero, zero]
    for _ in range(10):
        a, b = x[0] * numpy.uint64(0xD2511F53), x[2] * numpy.uint64(0xCD9E8D57)
        x = [(b >> low) ^ x[1] ^ numpy.uint64(key[0]), b & mask,
             (a >> low) ^ x[3] ^ numpy.uint64(key[1]), a & mask]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return numpy.stack([x[0] << low | x[1], x[2] << low | x[3]], 1).reshape(-1)[:count]


def normal(seed, purpose, shape, deviation):
    count = int(numpy.prod(shape))
    u = (stream(seed, purpose, 2 * count) >> numpy.uint64(11)).astype(numpy.float64) * 2.0**-53
    z = numpy.sqrt(-2 * numpy.log(1 - u[0::2])) * numpy.cos(6.283185307179586 * u[1::2])
    return torch.from_numpy((deviation * z).astype(numpy.float32).reshape(shape))


def shuffled(seed, purpose, count):
    """No draw is rejected for so few images: 2^64 mod bound is below any number met here."""
    numbers, order = stream(seed, purpose, count), list(range(count))
    for i, number in zip(range(count, 1, -1), numbers):
        j = int(number) % i
        order[i - 1], order[j] = order[j], order[i - 1]
    return order


def begin_student(network, seed=SEED):
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            shape = tuple(module.weight.shape)
            deviation = (2 / (shape[0] * shape[2] * shape[3])) ** 0.5
            module.weight.data = normal(seed, f"stpm/student/{name}", shape, deviation)
    return network


# ---- what they are given ----

def read_safetensors(path):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: torch.frombuffer(bytearray(data[slice(*entry["data_offsets"])]),
                                   dtype=torch.float32).reshape(entry["shape"])
            for name, entry in header.items() if entry["dtype"] == "F32"}


def make_resnet18(shared):
    weights = read_safetensors(
        f"{shared}/data/weights/resnet18_imagenet1k_v1_partial_bnfolded.safetensors")

    def resnet18(pretrained=False, progress=True):
        network = torchvision.models.resnet18()
        if pretrained:
            network.load_state_dict(weights, strict=False)
        else:
            begin_student(network)
        return network
    return resnet18


def load_images(names, size=256):
    from PIL import Image
    from torchvision import transforms
    prepare = transforms.Compose([
        transforms.Resize((size, size)), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    return [prepare(Image.open(name).convert("RGB")) for name in names]


def training_names(shared):
    return sorted(glob.glob(f"{shared}/data/mvtec_ad/transistor/train/good/*.png"))


class Epochs:
    """Batches in libimiad's order, another one each time it is asked; `turn` makes an item."""
    def __init__(self, images, batch, turn):
        self.images, self.batch, self.turn, self.epoch = images, batch, turn, 0

    def __iter__(self):
        order = shuffled(SEED, f"stpm/order/{self.epoch}", len(self.images))
        self.epoch += 1
        for i in range(0, len(order), self.batch):
            yield self.turn(torch.stack([self.images[j] for j in order[i:i + self.batch]]))


# ---- the two implementations ----

def missing_modules(*names):
    for name in names:
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            sys.modules[name] = types.ModuleType(name)


def load_official(folder, resnet18, batches, epochs, losses):
    """Their STPM object; loss at every step goes to `losses`."""
    missing_modules("cv2")
    spec = importlib.util.spec_from_file_location("official", f"{folder}/legacy/train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.resnet18, module.device = resnet18, "cpu"
    module.lr, module.num_epochs, module.save_weight = 0.4, epochs, False
    module.load_size = module.input_size = 256
    inner = module.cal_loss

    def cal_loss(*arguments):
        loss = inner(*arguments)
        losses.append(loss.item())
        return loss
    module.cal_loss = cal_loss
    module.STPM.load_dataset = lambda self: setattr(self, "dataloaders", batches)
    return module, module.STPM()


def load_open_iad(folder, resnet18, losses):
    base = types.ModuleType("arch.base")

    class ModelBase:
        def __init__(self, config):
            self.config, self.device = config, "cpu"
    base.ModelBase = ModelBase
    sys.modules["arch.base"] = base
    sys.path.insert(0, folder)
    import arch.stpm as module
    module.models = types.SimpleNamespace(resnet18=resnet18)
    model = module.STPM({"net": "resnet18", "num_epochs": 1, "_optimizer_name": "sgd",
                         "_base_lr": 0.4, "_momentum": 0.9, "_weight_decay": 0.00001})
    inner = model.cal_loss

    def cal_loss(**arguments):
        loss = inner(**arguments)
        losses.append(loss.item())
        return loss
    model.cal_loss = cal_loss
    return model


def official_features(model, image):
    model.features_t, model.features_s = [], []
    model.model_t.eval(), model.model_s.eval()
    with torch.no_grad():
        model.model_t(image), model.model_s(image)
    return model.features_s, model.features_t


# ---- golden values ----

def learned(network):
    """Parameters and running statistics of the part that the loss reaches."""
    return {name: value for name, value in network.state_dict().items()
            if not name.startswith(("layer4", "fc")) and "num_batches" not in name}


def sample(values):
    flat = values.detach().flatten().double()
    places = [i * (len(flat) - 1) // (SAMPLES - 1) for i in range(SAMPLES)]
    return [float(flat[i]) for i in places], float(flat.norm())


def line(*fields):
    print(",".join(f"{f:.9g}" if isinstance(f, float) else str(f) for f in fields))


def print_golden(code, losses, network):
    for step, loss in enumerate(losses[:STEPS]):
        line("loss", code, step, loss)
    for name, value in learned(network).items():
        places, norm = sample(value)
        line("parameter", code, name, norm, *places)


def ten_official_steps(folder, shared):
    losses = []
    images = load_images(training_names(shared)[:STEPS * BATCH])
    batches = Epochs(images, BATCH, lambda x: (x, None))
    module, model = load_official(folder, make_resnet18(shared), batches, 1, losses)
    model.train()
    return module, model, losses


def golden(official, open_iad, shared):
    stdout, sys.stdout = sys.stdout, sys.stderr
    module, model, losses = ten_official_steps(official, shared)
    iad_losses = []
    images = load_images(training_names(shared)[:STEPS * BATCH])
    iad = load_open_iad(open_iad, make_resnet18(shared), iad_losses)
    iad.train_model(Epochs(images, BATCH, lambda x: {"img": x}), 0)
    sys.stdout = stdout
    print_golden("stpm", losses, model.model_s)
    root = f"{shared}/data/mvtec_ad/transistor"
    for name in TESTED:
        image = load_images([f"{root}/{name}"])[0][None]
        amap, _ = module.cal_anomaly_map(*official_features(model, image), out_size=256)
        places, norm = sample(torch.from_numpy(amap))
        line("map", "stpm", name, float(amap.max()), norm, *places)
    print_golden("open_iad", iad_losses, iad.net_student)


def compare(official, shared, saved):
    _, model, _ = ten_official_steps(official, shared)
    ours, above, below = read_safetensors(saved), 0.0, 0.0
    for name, theirs in learned(model.model_s).items():
        a, b = ours["student." + name].double(), theirs.double()
        above, below = above + float((a - b).square().sum()), below + float(b.square().sum())
        print(f"{name:32} relative L2 {float((a - b).norm() / b.norm()):.2e}")
    print(f"all of them {(above / below) ** 0.5:.2e}")


# ---- whole trainings ----

def train(official, shared, epochs, size=256, save=None):
    from PIL import Image
    from sklearn.metrics import roc_auc_score
    losses = []
    batches = Epochs(load_images(training_names(shared), size), 32, lambda x: (x, None))
    module, model = load_official(official, make_resnet18(shared), batches, epochs, losses)
    model.train()
    steps = len(losses) // epochs
    for epoch in range(epochs):
        print(f"epoch {epoch + 1} loss {sum(losses[epoch * steps:(epoch + 1) * steps]) / steps:.6g}")
    if save:
        torch.save(model.model_s.state_dict(), save)
    root = f"{shared}/data/mvtec_ad/transistor"
    scores, labels, pixels, truth = [], [], [], []
    for name in sorted(glob.glob(f"{root}/test/*/*.png")):
        image = load_images([name], size)[0][None]
        amap, _ = module.cal_anomaly_map(*official_features(model, image), out_size=size)
        kind, file = name.split("/")[-2:]
        mask = numpy.zeros((size, size), bool)
        if kind != "good":
            drawn = Image.open(f"{root}/ground_truth/{kind}/{file[:-4]}_mask.png").convert("L")
            mask = numpy.array(drawn.resize((size, size), Image.BILINEAR)) >= 128
        scores.append(amap.max())
        labels.append(kind != "good")
        pixels.append(amap.ravel())
        truth.append(mask.ravel())
    print(f"image AUROC {roc_auc_score(labels, scores):.4f}, pixel AUROC "
          f"{roc_auc_score(numpy.concatenate(truth), numpy.concatenate(pixels)):.4f}")


def main():
    modes = {"golden": golden, "train": train, "compare": compare}
    if len(sys.argv) < 5 or sys.argv[1] not in modes:
        sys.exit(__doc__)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    arguments = [int(a) if a.isdigit() else a for a in sys.argv[2:]]
    modes[sys.argv[1]](*arguments)


if __name__ == "__main__":
    main()
