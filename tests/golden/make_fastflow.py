#!/usr/bin/env python3
"""Two public implementations of FastFlow, trained from libimiad's first parameters on its batches.

    tests/golden/make_fastflow.py golden FASTFLOW FREIA FREIA_TODAY OPEN_IAD SHARED > tests/golden/fastflow.csv
    tests/golden/make_fastflow.py train FASTFLOW FREIA SHARED EPOCHS SIZE [SEED]
    tests/golden/make_fastflow.py compare FASTFLOW FREIA SHARED SAVED_DETECTOR RESULTS.json
    tests/golden/make_fastflow.py checkpoint FASTFLOW FREIA SHARED SIZE FILE

FASTFLOW is a checkout of github.com/gathierry/FastFlow (its train_one_epoch is run), FREIA one of
github.com/vislearn/FrEIA at the commit 1779d1f that it pins, FREIA_TODAY one at 4212496, OPEN_IAD one
of github.com/M-3LAB/open-iad (arch/fastflow.py and its optimiser). SHARED holds the transistor images
of MVTec AD at 256 x 256 and the ResNet-18 weights.

golden: one block of either FrEIA, forward, on procedural values in double precision; the loss, its
gradients and ten steps on procedural features in double precision; ten steps of each code with
ResNet-18 on images 000 to 039 at 32 x 32 in batches of 4, losses, values of every parameter after
them and of the anomaly map of some images, in double precision and how far single precision comes
to lie from it. train: as many epochs as asked in libimiad's order in batches of 32 with 3x3 and 1x1
kernels in turn, then image and pixel AUROC. compare: image scores of the test images, from a
detector that the library trained and saved, beside those that the library gave (examples/unsupervised
--save --json). checkpoint: a file as their main.py writes it, of first parameters of seed 1, and the
scores of some images.
The first parameters, permutations and orders are libimiad's random streams, computed here once more.
Needs torch, torchvision, numpy, SciPy, Pillow and scikit-learn.
"""
import importlib
import sys
import types

import numpy
import torch

from make_rd4ad import WEIGHTS, uniform
from make_stpm import (SEED, TESTED, compare_scores, line, load_images,
                       missing_modules, print_epochs, print_runs, procedural, read_results,
                       read_safetensors, run_mode, sample, shuffled, test_aurocs, training_names)

BATCH, STEPS, SIZE = 4, 10, 32


# ---- libimiad's first parameters and order ----

def begin_block(block, name, seed):
    for layer in (0, 2):
        module = block.subnet[layer]
        shape = tuple(module.weight.shape)
        bound = float(numpy.prod(shape[1:])) ** -0.5
        module.weight.data = uniform(seed, f"{name}.subnet.{layer}.weight", shape, bound)
        module.bias.data = uniform(seed, f"{name}.subnet.{layer}.bias", shape[:1], bound)
    order = shuffled(seed, f"{name}.w_perm", block.in_channels)
    if block.w_perm.dim() == 1:
        block.w_perm.data = torch.tensor(order)
    else:
        block.w_perm.data = torch.eye(len(order))[order].reshape(block.w_perm.shape)
    return block


def begin(network, seed=SEED):
    for i, flow in enumerate(network.nf_flows):
        for s, block in enumerate(flow.module_list):
            begin_block(block, f"fastflow/nf_flows.{i}.module_list.{s}", seed)
    return network


class Batches:
    """In libimiad's order, another one each time it is asked; `turn` makes an item."""
    def __init__(self, images, batch, turn, seed=SEED):
        self.images, self.batch, self.turn, self.epoch, self.seed = images, batch, turn, 0, seed

    def __len__(self):
        return (len(self.images) + self.batch - 1) // self.batch

    def __iter__(self):
        order = shuffled(self.seed, f"fastflow/order/{self.epoch}", len(self.images))
        self.epoch += 1
        for i in range(0, len(order), self.batch):
            yield self.turn(torch.stack([self.images[j] for j in order[i:i + self.batch]]))


# ---- the implementations ----

class FeatureInfo:
    def channels(self):
        return [64, 128, 256]

    def reduction(self):
        return [4, 8, 16]


class Extractor(torch.nn.Module):
    """What timm makes of ResNet-18 with features_only and out_indices 1, 2, 3."""
    def __init__(self, shared):
        import torchvision
        super().__init__()
        self.feature_info = FeatureInfo()
        self.network = torchvision.models.resnet18()
        self.network.load_state_dict(read_safetensors(f"{shared}/{WEIGHTS}"), strict=False)

    def forward(self, x):
        n = self.network
        x = n.maxpool(n.relu(n.bn1(n.conv1(x))))
        out = []
        for layer in (n.layer1, n.layer2, n.layer3):
            x = layer(x)
            out.append(x)
        return out


class Procedural(torch.nn.Module):
    """Its n-th batch's features are procedural ones."""
    def __init__(self):
        super().__init__()
        self.feature_info = FeatureInfo()

    def forward(self, step):
        return [procedural((2, 64 << i, 8 >> i, 8 >> i), int(step) + i) for i in range(3)]


def load_freia(folder):
    for name in [name for name in sys.modules if name.split(".")[0] == "FrEIA"]:
        del sys.modules[name]
    sys.path.insert(0, folder)
    module = importlib.import_module("FrEIA.modules.all_in_one_block")
    sys.path.remove(folder)
    return module


def stand_in_for_timm(extractor):
    timm = types.ModuleType("timm")
    timm.create_model = lambda *names, **options: extractor
    none = type("None", (), {})
    timm.models = types.SimpleNamespace(
        vision_transformer=types.SimpleNamespace(VisionTransformer=none),
        cait=types.SimpleNamespace(Cait=none))
    sys.modules["timm"] = timm


def load_official(folder, freia, extractor):
    missing_modules("yaml")
    for name in ("ignite", "ignite.contrib"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["ignite.contrib"].metrics = None
    load_freia(freia)
    stand_in_for_timm(extractor)
    sys.path.insert(0, folder)
    torch.Tensor.cuda = lambda self: self
    import main as official
    importlib.reload(official.fastflow)
    return official


def make_network(official, size, only_3x3, seed=SEED):
    return begin(official.fastflow.FastFlow("resnet18", 8, size, only_3x3, 1.0), seed)


def run_official(official, network, batches, epochs=1):
    losses, stdout = [], sys.stdout
    handle = network.register_forward_hook(lambda n, x, out: losses.append(out["loss"].item()))
    optimizer, sys.stdout = official.build_optimizer(network), sys.stderr
    for epoch in range(epochs):
        official.train_one_epoch(batches, network, optimizer, epoch)
    sys.stdout = stdout
    handle.remove()
    return losses


def run_open_iad(folder, extractor, images, type_):
    base = types.ModuleType("arch.base")

    class ModelBase:
        def __init__(self, config):
            self.config, self.device = config, "cpu"

        def clear_all_list(self):
            pass
    base.ModelBase = ModelBase
    sys.modules["arch.base"] = base
    stand_in_for_timm(extractor)
    sys.path.insert(0, folder)
    import arch.fastflow as module
    model = module.FastFlow({"backbone_name": "resnet18", "flow_steps": 8, "hidden_ratio": 1.0,
                             "data_crop_size": SIZE, "num_epochs": 1, "_optimizer_name": "adam",
                             "_base_lr": 0.001, "_weight_decay": 0.00001})
    begin(model.net).to(type_)
    losses = []
    handle = model.net.register_forward_hook(lambda n, x, out: losses.append(out["loss"].item()))
    model.train_model(Batches(images, BATCH, lambda x: {"img": x.to(type_)}))
    handle.remove()
    return losses, model.net


def anomaly_map(network, image):
    network.eval()
    with torch.no_grad():
        return network(image[None])["anomaly_map"][0, 0].numpy()


# ---- golden values ----

def learned(network):
    return {name: value for name, value in network.named_parameters()
            if "w_perm" not in name and not name.startswith("feature_extractor")}


def print_block(freia, version, channels, kernel):
    def subnet(inputs, outputs):
        return torch.nn.Sequential(torch.nn.Conv2d(inputs, inputs, kernel, padding="same"),
                                   torch.nn.ReLU(),
                                   torch.nn.Conv2d(inputs, outputs, kernel, padding="same"))
    block = freia.AllInOneBlock([(channels, 4, 4)], subnet_constructor=subnet)
    begin_block(block, "flow/block", SEED).double()
    block.global_scale.data += procedural(tuple(block.global_scale.shape), 1)
    block.global_offset.data += procedural(tuple(block.global_offset.shape), 2)
    for layer in (0, 2):
        block.subnet[layer].weight.data *= 8
    x = procedural((2, channels, 4, 4), 0) - 1
    with torch.no_grad():
        (z,), log_determinant = block([x])
    for name, values in (("z", z), ("log_determinant", log_determinant)):
        places, norm = sample(values)
        line("network", version, f"{name}.{channels}", norm, *places)


def print_double(case, official):
    """One loss with its gradients, then ten steps, on procedural features."""
    def network():
        return make_network(official, SIZE, False).double()
    own = network()
    own.train()
    own(torch.tensor(0))["loss"].backward()
    for name, value in learned(own).items():
        places, norm = sample(value.grad)
        line("gradient", case, name, norm, *places)
    trained = network()
    batches = [torch.tensor(step) for step in range(STEPS)]
    losses = run_official(official, trained, batches)
    print_runs(case, [(losses, {}, {})])


def golden(folder, freia, freia_today, open_iad, shared):
    images = load_images(training_names(shared)[:STEPS * BATCH], SIZE)
    root = f"{shared}/data/mvtec_ad/transistor"
    tested = {name: load_images([f"{root}/{name}"], SIZE)[0] for name in TESTED}
    for version, path in (("tanh", freia), ("scaled_tanh", freia_today)):
        module = load_freia(path)
        print_block(module, version, 5, 3)
        print_block(module, version, 6, 1)

    def run(type_):
        extractor = Extractor(shared).to(type_)
        official = load_official(folder, freia, extractor)
        network = make_network(official, SIZE, True).to(type_)
        losses = run_official(official, network, Batches(images, BATCH, lambda x: x.to(type_)))
        maps = {name: anomaly_map(network, image.to(type_)) for name, image in tested.items()}
        return losses, learned(network), maps

    def run_iad(type_):
        load_freia(freia)
        losses, network = run_open_iad(open_iad, Extractor(shared).to(type_), images, type_)
        maps = {name: anomaly_map(network, image.to(type_)) for name, image in tested.items()}
        return losses, learned(network), maps

    print_runs("official", [run(torch.float64), run(torch.float32)])
    print_runs("open_iad", [run_iad(torch.float64), run_iad(torch.float32)])
    print_double("double", load_official(folder, freia, Procedural()))


# ---- whole trainings ----

def score_map(network, size):
    return lambda path: anomaly_map(network, load_images([path], size)[0])


def train(folder, freia, shared, epochs, size, seed=SEED):
    official = load_official(folder, freia, Extractor(shared))
    network = make_network(official, size, False, seed)
    images = load_images(training_names(shared), size)
    losses = run_official(official, network, Batches(images, 32, lambda x: x, seed), epochs)
    print_epochs(losses, epochs)
    test_aurocs(shared, score_map(network, size), size)


def compare(folder, freia, shared, saved, results):
    options, scores = read_results(results)
    size = int(options["resize"])
    network = make_network(load_official(folder, freia, Extractor(shared)), size,
                           options["conv3x3_only"] == "true")
    ours = read_safetensors(saved)
    for name, value in learned(network).items():
        value.data = ours[f"flow.{name}"]
    compare_scores(shared, score_map(network, size), scores)


def checkpoint(folder, freia, shared, size, path):
    network = make_network(load_official(folder, freia, Extractor(shared)), size, False, 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    torch.save({"epoch": 0, "model_state_dict": network.state_dict(),
                "optimizer_state_dict": optimizer.state_dict()}, path)
    for name in TESTED:
        amap = score_map(network, size)(f"{shared}/data/mvtec_ad/transistor/{name}")
        print(name, f"{amap.max():.9g}")


if __name__ == "__main__":
    run_mode({"golden": golden, "train": train, "compare": compare, "checkpoint": checkpoint}, 5,
             __doc__)
