#!/usr/bin/env python3
"""The authors' SimpleNet, trained from libimiad's first parameters on its batches and its noise.

    tests/golden/make_simplenet.py golden SIMPLENET SHARED > tests/golden/simplenet.csv
    tests/golden/make_simplenet.py train SIMPLENET SHARED EPOCHS RESIZE CROP [DIMENSION]
    tests/golden/make_simplenet.py judge SIMPLENET SHARED SAVED_DETECTOR RESULTS.json

SIMPLENET is a checkout of github.com/DonaldRR/SimpleNet, whose simplenet.py runs unchanged: the
embedding, both networks, the training loop, the prediction. SHARED holds the transistor images of
MVTec AD and the ResNet-18 weights.

golden: the steps of each of CASES on the first training images, their losses, then values of every
parameter and of the maps of some images. train: as many passes over all training images as asked,
then image and pixel AUROC of the test images; DIMENSION (1536) is the target_embed_dimension, the
hidden layer is as wide but 1024 at most. judge: loads a detector that the library trained and
holds the scores that the library gave (examples/unsupervised --save --json) against the authors'.
First parameters, orders and noise are libimiad's random streams. The logging, progress and metrics
modules that the checkout imports are replaced by empty ones.
Needs torch, torchvision, numpy, Pillow, scipy and scikit-learn.
"""
import glob
import sys
import types

import numpy
import torch

from make_stpm import (line, make_resnet18, normal, print_differences, print_epochs, read_results,
                       read_safetensors, run_mode, sample, shuffled, stream, training_names)

SEED, STEPS, BATCH, RESIZE, CROP = 66, 10, 4, 108, 96
TESTED = ("test/bent_lead/000.png", "test/good/000.png", "test/misplaced/004.png")
SCRIPT = {"pretrain_embed_dimension": 1536, "target_embed_dimension": 1536, "dsc_hidden": 1024,
          "dsc_layers": 2, "dsc_margin": 0.5, "noise_std": 0.015, "pre_proj": 1}
# name: images, epochs, the authors' parameters; tests/detectors/test_simplenet.c has our options
CASES = {
    "script": (STEPS * BATCH, 1, SCRIPT),
    "still": (2 * BATCH, 1, dict(SCRIPT, lr=0.0, dsc_lr=0.0)),
    # the schedule ends after (meta_epochs - 1) * gan_epochs passes
    "variant": (BATCH, STEPS, dict(
        pretrain_embed_dimension=384, target_embed_dimension=96, dsc_hidden=None, dsc_layers=3,
        dsc_margin=0.8, noise_std=0.05, mix_noise=3, pre_proj=2, proj_layer_type=2, cos_lr=True,
        meta_epochs=2)),
}


# ---- the checkout ----

class Progress:
    """tqdm: a context with an iterable inside."""
    def __init__(self, iterable=(), **_):
        self.iterable = iterable

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __iter__(self):
        return iter(self.iterable)

    def set_description_str(self, _):
        pass

    def update(self, _):
        pass


class Losses:
    """TensorBoard's writer: keeps the losses."""
    def __init__(self, **_):
        self.values = []

    def add_scalar(self, name, value, _):
        if name == "loss":
            self.values.append(float(value))


def load_official(folder):
    for name, members in (("tqdm", {"tqdm": Progress}), ("metrics", {}),
                          ("utils", {"plot_segmentation_images": None}),
                          ("torch.utils.tensorboard", {"SummaryWriter": Losses})):
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)
    sys.path.insert(0, folder)
    import simplenet
    return simplenet


def uniform(purpose, count, bound):
    u = (stream(SEED, purpose, count) >> numpy.uint64(11)).astype(numpy.float64) * 2.0**-53
    return torch.from_numpy((-bound + 2 * bound * u).astype(numpy.float32))


def begin(network, name):
    """Xavier's weights and PyTorch's biases from the streams that lib/detectors/algorithms/simplenet.c uses."""
    for layer, module in network.named_modules():
        if not isinstance(module, torch.nn.Linear):
            continue
        outputs, inputs = module.weight.shape
        purpose = f"simplenet/{name}.{layer}"
        module.weight.data = normal(SEED, purpose + ".weight", (outputs, inputs),
                                    (2 / (inputs + outputs)) ** 0.5)
        if module.bias is not None:
            module.bias.data = uniform(purpose + ".bias", outputs, inputs ** -0.5)


class Noise:
    """Stands in for torch.normal and torch.randint, which the loop calls in this order: randint
    once a step, then normal for each deviation."""
    def __init__(self, components):
        self.components, self.step = components, -1

    def randint(self, _low, _high, size):
        self.step, self.calls = self.step + 1, 0
        if self.components == 1:
            return torch.zeros(size, dtype=torch.int64)
        numbers = stream(SEED, f"simplenet/deviation/{self.step}", size[0])
        return torch.from_numpy((numbers % numpy.uint64(self.components)).astype(numpy.int64))

    def normal(self, _mean, deviation, shape):
        if self.calls == 0:
            self.drawn = normal(SEED, f"simplenet/noise/{self.step}", tuple(shape), deviation)
        self.calls += 1
        return self.drawn * numpy.float32(1.1 ** (self.calls - 1))


class Epochs:
    """Batches in libimiad's order, another one each time it is asked."""
    def __init__(self, images, batch):
        self.images, self.batch, self.epoch = images, batch, 0

    def __len__(self):
        return (len(self.images) + self.batch - 1) // self.batch

    def __iter__(self):
        order = shuffled(SEED, f"simplenet/order/{self.epoch}", len(self.images))
        self.epoch += 1
        for i in range(0, len(order), self.batch):
            yield {"image": torch.stack([self.images[j] for j in order[i:i + self.batch]])}


def make_official(folder, shared, size, parameters):
    module = load_official(folder)
    model = module.SimpleNet("cpu")
    # load() asks the network for its channels with an image of ones; in training mode, as the
    # checkout leaves it, that would move the running statistics of its batch norm
    model.load(backbone=make_resnet18(shared)(True).eval(), layers_to_extract_from=["layer2", "layer3"],
               device="cpu", input_shape=(3, size, size), **parameters)
    model.logger = module.TBWrapper(None)
    begin(model.pre_projection, "pre_projection")
    begin(model.discriminator, "discriminator")
    return model


def train_official(model, images, batch, epochs):
    """The loss of every step."""
    noise, kept = Noise(model.mix_noise), (torch.normal, torch.randint)
    model.gan_epochs = epochs
    torch.normal, torch.randint = noise.normal, noise.randint
    model._train_discriminator(Epochs(images, batch))
    torch.normal, torch.randint = kept
    return model.logger.logger.values


def load_images(names, resize, crop):
    from PIL import Image
    from torchvision import transforms
    prepare = transforms.Compose([
        transforms.Resize(resize), transforms.CenterCrop(crop), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    return [prepare(Image.open(name).convert("RGB")) for name in names]


# ---- golden values ----

def golden(folder, shared):
    for case, (count, epochs, parameters) in CASES.items():
        model = make_official(folder, shared, CROP, dict(parameters, gan_epochs=epochs))
        images = load_images(training_names(shared)[:count], RESIZE, CROP)
        for step, loss in enumerate(train_official(model, images, BATCH, epochs)):
            line("loss", case, step, loss)
        for part in ("pre_projection", "discriminator"):
            for name, value in getattr(model, part).state_dict().items():
                if value.dim() > 0 and case != "still":
                    places, norm = sample(value)
                    line("parameter", case, f"{part}.{name}", norm, *places)
        for name in TESTED:
            image = load_images([f"{shared}/data/mvtec_ad/transistor/{name}"], RESIZE, CROP)[0][None]
            scores, maps, _ = model._predict(image)
            places, _ = sample(torch.from_numpy(maps[0]))
            line("map", case, name, float(scores[0]), float(numpy.abs(maps[0]).max()), *places)


# ---- whole trainings ----

def predict(model, shared, resize, crop):
    """Paths, labels and scores of the test images; image and pixel AUROC."""
    from PIL import Image
    from sklearn.metrics import roc_auc_score
    from torchvision import transforms
    fit = transforms.Compose([transforms.Resize(resize), transforms.CenterCrop(crop)])
    root = f"{shared}/data/mvtec_ad/transistor"
    names, labels, found, pixels, truth = [], [], [], [], []
    for path in sorted(glob.glob(f"{root}/test/*/*.png")):
        kind, file = path.split("/")[-2:]
        scores, maps, _ = model._predict(load_images([path], resize, crop)[0][None])
        mask = numpy.zeros((crop, crop), bool)
        if kind != "good":
            drawn = Image.open(f"{root}/ground_truth/{kind}/{file[:-4]}_mask.png").convert("L")
            mask = numpy.array(fit(drawn)) >= 128
        names.append(f"test/{kind}/{file}")
        labels.append(kind != "good")
        found.append(float(scores[0]))
        pixels.append(maps[0].ravel())
        truth.append(mask.ravel())
    print(f"image AUROC {roc_auc_score(labels, found):.4f}, pixel AUROC "
          f"{roc_auc_score(numpy.concatenate(truth), numpy.concatenate(pixels)):.4f}")
    return dict(zip(names, found))


def of_dimension(dimension):
    return dict(SCRIPT, target_embed_dimension=dimension, dsc_hidden=min(dimension, 1024))


def train(folder, shared, epochs, resize, crop, dimension=1536):
    model = make_official(folder, shared, crop, dict(of_dimension(dimension), gan_epochs=epochs))
    images = load_images(training_names(shared), resize, crop)
    losses = train_official(model, images, 8, epochs)
    print_epochs(losses, epochs)
    predict(model, shared, resize, crop)


def judge(folder, shared, saved, results):
    options, ours = read_results(results)
    resize, crop, dimension = (int(options[name])
                               for name in ("resize", "crop", "target_embed_dimension"))
    model = make_official(folder, shared, crop, of_dimension(dimension))
    tensors = read_safetensors(saved)
    for part in ("pre_projection", "discriminator"):
        state = {name[len(part) + 1:]: value for name, value in tensors.items()
                 if name.startswith(part + ".")}
        getattr(model, part).load_state_dict(state, strict=False)
    theirs = predict(model, shared, resize, crop)
    print_differences(ours, theirs)


if __name__ == "__main__":
    run_mode({"golden": golden, "train": train, "judge": judge}, 3, __doc__)
