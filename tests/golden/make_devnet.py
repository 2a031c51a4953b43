#!/usr/bin/env python3
"""Golden values of DevNet from the authors' code.

    tests/golden/make_devnet.py DEVNET OPEN_IAD > tests/golden/devnet.csv
    tests/golden/make_devnet.py DEVNET SHARED RESULTS.json EPOCHS STEPS BATCH SIZE SEED...

DEVNET is a checkout of github.com/Choubo/deviation-network-image: its modeling/, train.py and
localization.py are run. Weights and images are numbers that this script and the test both compute
(`noise`), so nothing has to be stored; the prior's are libimiad's random streams.

    feature,forward,sI,NORM,SAMPLES...   layer4 of a 448 x 448 image at scale I
    score,forward,image,SCORE            of that image
    pool,pool,COUNT-TOPK,SCORE           of a map of so many patches
    loss,losses,CASE,LOSS                of eight scores, with the
    gradient,losses,CASE,NORM,VALUES...  gradient with respect to them
    rate,rates,EPOCH,RATE                of 50 epochs
    loss,steps,STEP,LOSS                 ten steps of their Trainer on four images of 32 x 32, in
                                         double precision and up to layer2, so that the test
                                         is quick, and all tensors after them:
    parameter,steps,NAME,NORM,SAMPLES...
    loss,open_iad,STEP,LOSS              the same of four steps of the IM-IAD code (arch/devnet.py of a
    parameter,open_iad,NAME,...          checkout of github.com/M-3LAB/open-iad)
    map,maps,KIND,NORM,SAMPLES...        of a 128 x 128 image: the gradient's magnitudes, scaled
                                         from minimum to percentile, and blurred

The second form trains their code on the transistor images, on the draw of anomalies that the library
made (examples/supervised --json): their data set, sampler, rotation and Trainer, the ResNet-18 weights
in SHARED up to layer3. It prints the mean loss of each epoch, AUROC and AP of the test images and AUROC,
AP and AUPRO of localization.py's maps, for each seed, and means and deviations over them. Needs Pillow
and scikit-learn as well.

Needs torch, torchvision, numpy and SciPy.
"""
import contextlib
import functools
import glob
import json
import os
import sys
import types
import unittest.mock
import zlib

import numpy
import torch

from make_stpm import normal, procedural, read_safetensors
from formula import noise

SEED, STEPS, SAMPLES = 66, 10, 16


def images(first, count, side):
    """RGB8, rows of pixels; normalised n x 3 x side x side."""
    values = [numpy.floor((noise(side * side * 3, 1000 * (first + i)) + 1) * 128) for i in range(count)]
    pixels = numpy.stack(values).reshape(count, side, side, 3).astype(numpy.float32) / 255
    mean, std = numpy.float32([0.485, 0.456, 0.406]), numpy.float32([0.229, 0.224, 0.225])
    return torch.from_numpy(numpy.ascontiguousarray(((pixels - mean) / std).transpose(0, 3, 1, 2)))


def fill(network):
    """Every tensor from its name: small maps, norms near the identity."""
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
            v = v * (3 / value[0].numel()) ** 0.5
        value.copy_(torch.from_numpy(v.reshape(value.shape).astype(numpy.float32)))
    return network


def line(kind, case, name, *numbers):
    print(",".join([kind, case, str(name)] + [f"{float(n):.9g}" for n in numbers]))


def print_sample(kind, case, name, value):
    v = value.detach().double().reshape(-1)
    at = [i * (v.numel() - 1) // (SAMPLES - 1) for i in range(SAMPLES)]
    line(kind, case, name, v.norm(), *[v[i] for i in at])


def print_state(case, network, renamed=("", "")):
    for name, value in network.state_dict().items():
        if not name.endswith("num_batches_tracked") and ".fc." not in name:
            print_sample("parameter", case, name.replace(*renamed, 1), value)


class Prior:
    """In the place of torch.normal: a stream for each step, or numbers that a formula gives."""
    def __init__(self, streams=None):
        self.streams = streams

    def __call__(self, mean, std):
        assert mean == 0 and std.numel() == 5000
        if self.streams:
            return normal(SEED, next(self.streams), (5000,), 1).double()
        return 1.5 * torch.from_numpy(noise(5000, 7)) + 0.25


def stub_modules(*others):
    """Asks for a GPU by name, and imports much that is not used here."""
    torch.Tensor.cuda = lambda self, *arguments, **named: self
    for name in ("tqdm", "cv2", "sklearn", "sklearn.metrics", "matplotlib", "matplotlib.pyplot") + others:
        sys.modules[name] = unittest.mock.MagicMock()
    bar = unittest.mock.MagicMock()
    sys.modules["tqdm"].tqdm = lambda batches, desc="": type("Bar", (list,), {"set_description": bar})(batches)
    import torchvision
    plain = torchvision.models.resnet18
    torchvision.models.resnet18 = lambda pretrained: plain(weights=None)


def make_network(net, size, topk=0.1, scales=2, whole=True):
    arguments = types.SimpleNamespace(backbone="resnet18", img_size=size, n_scales=scales, topk=topk)
    with contextlib.redirect_stdout(sys.stderr):  # it prints the backbone's name
        network = net.SemiADNet(arguments)
    if not whole:
        network.feature_extractor.net.layer3 = network.feature_extractor.net.layer4 = torch.nn.Identity()
        network.conv = torch.nn.Conv2d(128, 1, 1)
    return fill(network)


def print_forward(net):
    network, image = make_network(net, 448).eval(), images(0, 1, 448)
    with torch.no_grad():
        for scale in range(2):
            scaled = torch.nn.functional.interpolate(image, size=448 >> scale) if scale else image
            print_sample("feature", "forward", f"s{scale}", network.feature_extractor(scaled))
        line("score", "forward", "image", network(image))


def print_pools(net):
    for side, topk in ((14, 0.1), (7, 0.1), (3, 0.1), (7, 0)):
        network = make_network(net, side, topk, scales=1)
        network.feature_extractor = network.conv = torch.nn.Identity()
        patches = procedural((1, 1, side, side), 0) - 1.25
        line("pool", "pool", f"{side}-{topk}", network(patches))


def print_losses(criterion):
    torch.normal = Prior()
    scores = torch.tensor([-2, 0.1, 0.3, 4, 9, 12, -3, 1], dtype=torch.float64).view(-1, 1)
    for case, labels in (("mixed", [0, 0, 0, 0, 1, 1, 1, 1]), ("normal", [0] * 8), ("anomalous", [1] * 8)):
        given = scores.clone().requires_grad_(True)
        loss = criterion(given, torch.tensor(labels, dtype=torch.float64).view(-1, 1))
        loss.backward()
        line("loss", "losses", case, loss)
        line("gradient", "losses", case, given.grad.norm(), *given.grad.view(-1))


def make_trainer(train, network, criterion, batches):
    """As Trainer.__init__ without its data."""
    trainer = object.__new__(train.Trainer)
    trainer.args = types.SimpleNamespace(cuda=False)
    trainer.model, trainer.criterion, trainer.train_loader = network, criterion, batches
    trainer.optimizer = torch.optim.Adam(network.parameters(), lr=0.0002, weight_decay=1e-5)
    trainer.scheduler = torch.optim.lr_scheduler.StepLR(trainer.optimizer, step_size=10, gamma=0.1)
    return trainer


def print_rates(train, criterion):
    network = torch.nn.Linear(1, 1)
    trainer = make_trainer(train, network, criterion, [])
    for epoch in range(50):
        line("rate", "rates", epoch, trainer.optimizer.param_groups[0]["lr"])
        trainer.train(epoch)


def print_steps(net, train, criterion):
    losses = []

    def recorded(*arguments):
        losses.append(criterion(*arguments))
        return losses[-1]
    torch.normal = Prior(iter(f"devnet/prior/{step}" for step in range(STEPS)))
    batch = {"image": images(20, 4, 32).double(), "label": torch.tensor([0.0, 0.0, 1.0, 1.0])}
    network = make_network(net, 32, whole=False).double()
    trainer = make_trainer(train, network, recorded, [batch])
    for step in range(STEPS):
        trainer.train(step)
        line("loss", "steps", step, losses[step])
    print_state("steps", network)


def stub_base(folder):
    """The part of the IM-IAD code that all its detectors share."""
    base = types.ModuleType("arch.base")
    base.ModelBase = type("ModelBase", (), {"__init__": lambda self, config: setattr(self, "device", "cpu")})
    sys.modules["arch.base"] = base
    sys.path.insert(0, folder)


def print_open_iad(folder, net):
    """Four steps of one epoch of their train_model."""
    stub_base(folder)
    import arch.devnet
    official = make_network(net, 32, whole=False).state_dict()
    model = arch.devnet.DevNet({
        "_n_scales": 2, "_img_size": 32, "_topk": 0.1, "_criterion": "deviation", "_step_size": 100, "_gamma": 0.1,
        "_optimizer_name": "adam", "_base_lr": 0.0002, "_weight_decay": 0.00001, "num_epochs": 1})
    model.net.net.layer3 = model.net.net.layer4 = torch.nn.Identity()
    model.model.conv = torch.nn.Conv2d(128, 1, 1)
    model.model.load_state_dict({name.replace("feature_extractor", "net"): value for name, value in official.items()})
    model.model.double()
    losses, plain = [], model.criterion

    def recorded(*arguments):
        losses.append(plain(*arguments))
        return losses[-1]
    model.criterion = recorded
    torch.normal = Prior(iter(f"devnet/prior/{step}" for step in range(4)))
    batch = {"img": images(20, 4, 32).double(), "label": torch.tensor([0.0, 0.0, 1.0, 1.0])}
    model.train_model([batch] * 4, 0)
    for step, loss in enumerate(losses):
        line("loss", "open_iad", step, loss)
    print_state("open_iad", model.model, ("net.net.", "feature_extractor.net."))


def print_maps(net, localization):
    network, image = make_network(net, 128).eval(), images(40, 1, 128).requires_grad_(True)
    network(image).backward()
    gradient = image.grad.numpy().squeeze(0)
    scaled = localization.convert_to_grayscale(gradient).squeeze(0)
    blurred = localization.gaussian_filter(scaled, sigma=4)
    for kind, value in (("gradient_raw", numpy.sum(numpy.abs(gradient), axis=0)), ("gradient", scaled),
                        ("blurred", blurred)):
        print_sample("map", "maps", kind, torch.from_numpy(value))


# ---- a training ----

def judge(scores, labels):
    """AUROC, ties counting half, and AP, a step at each distinct score."""
    distinct, group = numpy.unique(-numpy.ravel(scores), return_inverse=True)
    bad = numpy.bincount(group, numpy.ravel(labels) != 0, len(distinct))
    good = numpy.bincount(group, numpy.ravel(labels) == 0, len(distinct))
    all_bad, all_good = numpy.cumsum(bad), numpy.cumsum(good)
    auroc = (bad * (all_good[-1] - all_good + 0.5 * good)).sum() / (all_bad[-1] * all_good[-1])
    return auroc, (bad / all_bad[-1] * all_bad / (all_bad + all_good)).sum()


class Recorded:
    """A loss that remembers what it gave."""
    def __init__(self, loss):
        self.loss, self.values = loss, []

    def __call__(self, *arguments):
        lost = self.loss(*arguments)
        self.values.append(float(lost))
        return lost

    def epochs(self, count, heads=1):
        """The means over the steps of each epoch, summed over heads."""
        return numpy.reshape(self.values, (count, -1, heads)).mean(1).sum(1)


def print_trained(seeds, names, train_once):
    """train_once(SEED) gives the mean loss of each epoch, and figures of these names."""
    found = []
    for seed in seeds:
        losses, figures = train_once(seed)
        found.append(figures)
        print(f"seed {seed}: losses", *(f"{lost:.3f}" for lost in losses))
        print(f"seed {seed}:", ", ".join(f"{name} {figure:.4f}" for name, figure in zip(names, figures)), flush=True)
    if len(found) > 1:
        mean, spread = numpy.mean(found, axis=0), numpy.std(found, axis=0, ddof=1)
        print(f"{len(found)} seeds:", ", ".join(f"{name} {m:.4f} +- {d:.4f}" for name, m, d in zip(names, mean, spread)))


def find_maps(network, images):
    """As localization.py's, of good images too: pixels are judged all together here."""
    import localization
    maps = []
    for i in range(len(images)):
        image = images[i]["image"].unsqueeze(0).requires_grad_(True)
        network(image).backward()
        scaled = localization.convert_to_grayscale(image.grad.numpy().squeeze(0)).squeeze(0)
        maps.append(localization.gaussian_filter(scaled, sigma=4))
    return numpy.stack(maps)


def read_masks(root, paths, size):
    from PIL import Image
    masks = numpy.zeros((len(paths), size, size), numpy.uint8)
    for mask, path in zip(masks, paths):
        if "/good/" not in path:
            name = f"{root}/{path.replace('test/', 'ground_truth/').replace('.png', '_mask.png')}"
            mask[:] = numpy.array(Image.open(name).convert("L").resize((size, size), Image.NEAREST)) > 0
    return masks


def read_split(shared, results):
    """Paths of the images that train and that test: the first are those that the library did not test."""
    root = f"{shared}/data/mvtec_ad/transistor"
    with open(results) as file:
        tested = [f"test/{image['path'].split('/test/')[1]}"
                  for image in json.load(file)["categories"][0]["images"]]
    defective = {path[len(root) + 1:] for path in glob.glob(f"{root}/test/*/*.png") if "/good/" not in path}
    good = sorted(path[len(root) + 1:] for path in glob.glob(f"{root}/train/good/*.png"))
    return root, good + sorted(defective - set(tested)), tested


def make_set(mvtecad, settings, root, paths, train):
    """As their MVTecAD without its walk over folders."""
    made = object.__new__(mvtecad.MVTecAD)
    made.args, made.train, made.root, made.images, made.ood_data = settings, train, root, paths, None
    made.transform = made.transform_train() if train else made.transform_test()
    made.load_image = functools.lru_cache(None)(lambda path: mvtecad.MVTecAD.load_image(made, path))
    made.labels = numpy.array([float("/good/" not in path) for path in paths])
    made.normal_idx = numpy.flatnonzero(made.labels == 0)
    made.outlier_idx = numpy.flatnonzero(made.labels == 1)
    return made


def shorten(network, shared):
    """Up to layer3, with the weights at hand."""
    weights = read_safetensors(f"{shared}/data/weights/resnet18_imagenet1k_v1_partial_bnfolded.safetensors")
    network.feature_extractor.net.load_state_dict(weights, strict=False)
    network.feature_extractor.net.layer4 = torch.nn.Identity()


def run_training(aupro, shared, results, epochs, steps, batch, size, *seeds):
    import train
    from dataloaders.utlis import BalancedBatchSampler
    from datasets import mvtecad
    from modeling import net
    from modeling.layers import build_criterion
    root, trained, tested = read_split(shared, results)
    settings = types.SimpleNamespace(n_anomaly=10, batch_size=batch, steps_per_epoch=steps, img_size=size,
                                     backbone="resnet18", n_scales=2, topk=0.1, cuda=False)
    train.aucPerformance, masks = judge, read_masks(root, tested, size)

    def train_once(seed):
        torch.manual_seed(seed), numpy.random.seed(seed)
        network = net.SemiADNet(settings)
        shorten(network, shared)
        network.conv = torch.nn.Conv2d(256, 1, 1)
        images = make_set(mvtecad, settings, root, trained, True)
        sampler = BalancedBatchSampler(settings, images)
        criterion = Recorded(build_criterion("deviation"))
        trainer = make_trainer(train, network, criterion, torch.utils.data.DataLoader(images, batch_sampler=sampler))
        trainer.test_loader = torch.utils.data.DataLoader(make_set(mvtecad, settings, root, tested, False), batch)
        trainer.args = settings
        for epoch in range(epochs):
            trainer.train(epoch)
        losses, (auroc, ap) = criterion.epochs(epochs), trainer.eval()
        maps = find_maps(network, trainer.test_loader.dataset)
        return losses, (auroc, ap, *judge(maps, masks), aupro(maps, masks, 0.3))
    print_trained(seeds, ("image AUROC", "AP", "pixel AUROC", "AP", "AUPRO"), train_once)


def main():
    sys.path.insert(0, sys.argv[1])
    if len(sys.argv) > 3:
        sys.path.append(os.path.join(os.path.dirname(__file__), "../bench"))
        from metrics_reference import aupro  # before stub_modules takes scikit-learn away
        stub_modules()
        run_training(aupro, *sys.argv[2:4], *map(int, sys.argv[4:]))
        return
    stub_modules("PIL")
    import localization
    import train
    from modeling import net
    from modeling.layers import build_criterion
    with contextlib.redirect_stdout(sys.stderr):
        criterion = build_criterion("deviation")
    print_forward(net)
    print_pools(net)
    print_losses(criterion)
    print_rates(train, criterion)
    print_steps(net, train, criterion)
    print_open_iad(sys.argv[2], net)
    print_maps(net, localization)


if __name__ == "__main__":
    main()
