#!/usr/bin/env python3
"""Two public implementations of STPM, trained from libimiad's first parameters on its batches.

    tests/golden/make_stpm.py golden STPM OPEN_IAD SHARED > tests/golden/stpm.csv
    tests/golden/make_stpm.py train STPM SHARED EPOCHS SIZE [SEED]
    tests/golden/make_stpm.py compare STPM SHARED SAVED_DETECTOR RESULTS.json

STPM is a checkout of github.com/hcw-00/STPM_anomaly_detection (its legacy/train.py is run: model,
loss, training loop, anomaly map), OPEN_IAD one of github.com/M-3LAB/open-iad (arch/stpm.py and its
optimiser). The authors' own repository, gdwang08/STFPM, was not at hand. SHARED holds the transistor
images of MVTec AD and the ResNet-18 weights.

golden: ten steps of each on images 000 to 079 at 64 x 64 in batches of 8, the losses, values of
every parameter after them and of the anomaly map of some images, in double precision and how far
single precision comes to lie from it; the same of a learning rate that hardly amplifies rounding,
and of procedural images and features. train: as many epochs as asked in libimiad's order in batches
of 32, then the image and pixel AUROC as their test computes it. compare: image scores of the test
images, from a detector that the library trained and saved, beside those that the library gave
(examples/unsupervised --save --json).
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

SEED, STEPS, BATCH, SIZE, SAMPLES = 66, 10, 8, 64, 16
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


def make_resnet18(shared, type=torch.float32, seed=SEED):
    weights = read_safetensors(
        f"{shared}/data/weights/resnet18_imagenet1k_v1_partial_bnfolded.safetensors")

    def resnet18(pretrained=False, progress=True):
        network = torchvision.models.resnet18()
        if pretrained:
            network.load_state_dict(weights, strict=False)
        else:
            begin_student(network, seed)
        return network.to(type)
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
    def __init__(self, images, batch, turn, seed=SEED):
        self.images, self.batch, self.turn, self.epoch, self.seed = images, batch, turn, 0, seed

    def __iter__(self):
        order = shuffled(self.seed, f"stpm/order/{self.epoch}", len(self.images))
        self.epoch += 1
        for i in range(0, len(order), self.batch):
            yield self.turn(torch.stack([self.images[j] for j in order[i:i + self.batch]]))


# ---- the two implementations ----

def missing_modules(*names):
    for name in names:
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            sys.modules[name] = types.ModuleType(name)


def load_official(folder, resnet18, batches, epochs, losses, rate=0.4):
    """Their STPM object; the loss at every step goes to `losses`."""
    missing_modules("cv2")
    spec = importlib.util.spec_from_file_location("official", f"{folder}/legacy/train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.resnet18, module.device = resnet18, "cpu"
    module.lr, module.num_epochs, module.save_weight = rate, epochs, False
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


def anomaly_map(module, model, image):
    model.features_t, model.features_s = [], []
    model.model_t.eval(), model.model_s.eval()
    with torch.no_grad():
        model.model_t(image), model.model_s(image)
    return module.cal_anomaly_map(model.features_s, model.features_t, out_size=image.shape[-1])[0]


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


def each_precision(run):
    """run(type) in double, in single, and in single with libtorch's own convolutions."""
    results = [run(torch.float64), run(torch.float32)]
    with torch.backends.mkldnn.flags(enabled=False):
        results.append(run(torch.float32))
    return results


def apart(a, b):
    above = sum(float((a[name].double() - b[name]).square().sum()) for name in b)
    return (above / sum(float(value.square().sum()) for value in b.values())) ** 0.5


def spread(distances):
    return [max(values)] if (values := list(distances)) else []


def print_runs(case, runs):
    """(losses, parameters, maps) of each precision: the first's values, the others' distance."""
    (losses, state, maps), others = runs[0], runs[1:]
    for step, loss in enumerate(losses):
        line("loss", case, step, loss, *spread(abs(o[0][step] / loss - 1) for o in others))
    for name, value in state.items():
        places, norm = sample(value)
        line("parameter", case, name, norm, *places)
    if state and others:
        line("spread", case, "parameters", *spread(apart(o[1], state) for o in others))
    for name, values in maps.items():
        places, _ = sample(torch.from_numpy(values))
        line("map", case, name, float(values.max()), abs(float(values.max())), *places)
    if maps and others:
        line("spread", case, "maps", *spread(float(numpy.abs(o[2][name] - maps[name]).max()
                                                   / abs(maps[name].max()))
                                             for o in others for name in maps))


def procedural(shape, phase):
    """1 + sin of the place, as tests/detectors/golden_steps.h computes it."""
    count = int(numpy.prod(shape))
    values = 1 + numpy.sin(0.37 * numpy.arange(count, dtype=numpy.float64) + phase)
    return torch.from_numpy(values.reshape(shape))


def run_official(folder, shared, images, rate, type, mapped):
    losses = []
    batches = Epochs(images, BATCH, lambda x: (x.to(type), None))
    module, model = load_official(folder, make_resnet18(shared, type), batches, 1, losses, rate)
    model.train()
    maps = {name: anomaly_map(module, model, image[None].to(type)) for name, image in mapped.items()}
    return losses, learned(model.model_s), maps


def run_open_iad(folder, shared, images, type):
    losses = []
    iad = load_open_iad(folder, make_resnet18(shared, type), losses)
    iad.train_model(Epochs(images, BATCH, lambda x: {"img": x.to(type)}), 0)
    return losses, learned(iad.net_student), {}


def run_procedural(folder, shared):
    """In double; the teacher's features are procedural, too."""
    losses, features = [], iter(range(STEPS))
    batches = [(procedural((2, 3, 64, 64), 10 + step), None) for step in range(STEPS)]
    module, model = load_official(folder, make_resnet18(shared, torch.float64), batches, 1, losses)

    class Teacher(torch.nn.Module):
        def forward(self, _):
            step = next(features)
            model.features_t += [procedural((2, 64 << i, 16 >> i, 16 >> i), step + i)
                                 for i in range(3)]
    model.model_t = Teacher()
    model.train()
    return losses, learned(model.model_s), {}


def golden(official, open_iad, shared):
    images = load_images(training_names(shared)[:STEPS * BATCH], SIZE)
    root = f"{shared}/data/mvtec_ad/transistor"
    mapped = {name: load_images([f"{root}/{name}"], SIZE)[0] for name in TESTED}
    stdout, sys.stdout = sys.stdout, sys.stderr
    cases = {case: each_precision(lambda t: run_official(official, shared, images, rate, t, mapped))
             for case, rate in (("slow", 0.0001), ("stpm", 0.4))}
    cases["open_iad"] = each_precision(lambda t: run_open_iad(open_iad, shared, images, t))
    cases["double"] = [run_procedural(official, shared)]
    sys.stdout = stdout
    for case, runs in cases.items():
        print_runs(case, runs)


# ---- whole trainings ----

def test_aurocs(shared, anomaly_map, size):
    """Of the test images, from a function of the path; a map's maximum is the image's score."""
    from PIL import Image
    from sklearn.metrics import roc_auc_score
    root = f"{shared}/data/mvtec_ad/transistor"
    scores, labels, pixels, truth = [], [], [], []
    for name in sorted(glob.glob(f"{root}/test/*/*.png")):
        amap = anomaly_map(name)
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


def read_results(results):
    """The options; the images' scores by the ends of their paths."""
    with open(results) as file:
        run = json.load(file)
    return (run["run"]["options"],
            {"/".join(image["path"].split("/")[-3:]): image["score"]
             for image in run["categories"][0]["images"]})


def print_differences(ours, theirs):
    largest = max(abs(value) for value in theirs.values())
    worst = max(abs(ours[name] - theirs[name]) for name in ours)
    print(f"{len(ours)} scores: largest difference {worst:.2e}, of the largest score "
          f"{worst / largest:.2e}")


def compare_scores(shared, anomaly_map, ours):
    root = f"{shared}/data/mvtec_ad/transistor"
    print_differences(ours, {name: float(anomaly_map(f"{root}/{name}").max()) for name in ours})


def print_epochs(losses, epochs):
    steps = len(losses) // epochs
    for epoch in range(epochs):
        print(f"epoch {epoch + 1} loss {sum(losses[epoch * steps:(epoch + 1) * steps]) / steps:.6g}")


def run_mode(modes, least, usage):
    """The mode that the command line names; it has so many words at least, digits are integers."""
    words = sys.argv[1:]
    if len(words) < least or words[0] not in modes:
        sys.exit(usage)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    modes[words[0]](*[int(word) if word.isdigit() else word for word in words[1:]])


def train(official, shared, epochs, size, seed=SEED):
    losses = []
    images = load_images(training_names(shared), size)
    batches = Epochs(images, 32, lambda x: (x, None), seed)
    module, model = load_official(official, make_resnet18(shared, seed=seed), batches, epochs, losses)
    stdout, sys.stdout = sys.stdout, sys.stderr
    model.train()
    sys.stdout = stdout
    print_epochs(losses, epochs)
    test_aurocs(shared, lambda path: anomaly_map(module, model, load_images([path], size)[0][None]),
                size)


def compare(official, shared, saved, results):
    options, ours = read_results(results)
    size = int(options["resize"])
    module, model = load_official(official, make_resnet18(shared), [], 0, [])
    student = {name[len("student."):]: value for name, value in read_safetensors(saved).items()
               if name.startswith("student.")}
    model.model_s.load_state_dict(student, strict=False)
    compare_scores(shared, lambda path: anomaly_map(module, model, load_images([path], size)[0][None]),
                   ours)


if __name__ == "__main__":
    run_mode({"golden": golden, "train": train, "compare": compare}, 4, __doc__)
