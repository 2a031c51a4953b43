"""Seconds that a public code takes for one image in memory, on what bench_scoring.c left:

    time_scoring.py DETECTOR CHECKOUTS FOLDER IMAGES SIZE

CHECKOUTS, with colons between them, are those that tests/golden/make_DETECTOR.py names: csflow CSFLOW; cutpaste
CUTPASTE; fastflow FASTFLOW:FREIA; favae FAVAE; igd OPEN_IAD:MSSSIM. FOLDER/detector is a saved detector, whose
weights the public networks take, FOLDER/image the RGB bytes, FOLDER/score and FOLDER/seconds what libimiad gave.
PyTorch, eager, one thread, everything that the code does to an image that is in memory as Pillow's. Prints the
least and the middle of the processor's seconds, the most memory above what there was before the networks, and how
far the score differs; ends in 1 where that is more than 1e-3 of it.
"""
import os
import resource
import sys
import time
import types

os.environ["OMP_NUM_THREADS"] = "1"

import numpy
import PIL.Image
import torch
import torchvision
from torchvision import transforms

import peer_blas

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "golden"))
from compare_features import read_safetensors

detector, checkouts, folder = sys.argv[1], sys.argv[2].split(":"), sys.argv[3]
images, size = int(sys.argv[4]), int(sys.argv[5])
peer_blas.require()
torch.set_num_threads(1)
resnet18, vgg16 = torchvision.models.resnet18, torchvision.models.vgg16
found = {name: torch.from_numpy(numpy.array(value)) for name, value in read_safetensors(folder + "/detector").items()}
to_unit = transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()])
prepare = transforms.Compose([*to_unit.transforms, transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])


def megabytes(resident=False):
    if resident:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def backbone(network):
    """The file's folded convolutions; batch norms stay as they are made, which is the identity."""
    for name, value in found.items():
        parts = name.split(".")
        if parts[0] != "backbone":
            continue
        module = network
        for part in parts[1:-1]:
            module = getattr(module, part)
        setattr(module, parts[-1], torch.nn.Parameter(value.float()))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0
    return network.eval().requires_grad_(False)


def take(network, prefix):
    own = {name: value for name, value in network.state_dict().items() if prefix + name in found}
    network.load_state_dict({name: found[prefix + name].reshape(value.shape) for name, value in own.items()},
                            strict=False)
    print(f"{len(own)} of {len(network.state_dict())} values from the file", file=sys.stderr)
    return network.eval()


class Features(torch.nn.Module):
    """The layers that a flow looks at, and nothing behind them."""
    def __init__(self, count):
        super().__init__()
        from make_fastflow import FeatureInfo
        self.feature_info, self.count, self.network = FeatureInfo(), count, backbone(resnet18())

    def forward(self, x):
        n, out = self.network, []
        x = n.maxpool(n.relu(n.bn1(n.conv1(x))))
        for layer in (n.layer1, n.layer2, n.layer3)[:self.count]:
            x = layer(x)
            out.append(x)
        return out


def csflow():
    import make_csflow
    official = make_csflow.load_official(checkouts[0], size, 64)
    network, extractor = take(make_csflow.make_network(official), "flow."), Features(2)
    return lambda image: make_csflow.judge(official, network, extractor, prepare(image))[0]


def cutpaste():
    sys.path.insert(0, checkouts[0])
    import density
    import model
    network = model.ProjectionNet(pretrained=False, head_layers=[512, 128], num_classes=3)
    for name in [n for n in found if n.startswith("network.encoder.")]:
        found[name.replace("network.encoder.", "network.resnet18.")] = found.pop(name)
    take(network, "network.")
    gaussian = density.GaussianDensityTorch()
    gaussian.mean, gaussian.inv_cov = found["density.mean"].flatten(), found["density.precision"]

    def verdict(image):
        with torch.no_grad():
            embedded, _ = network(prepare(image)[None])
            return float(gaussian.predict(torch.nn.functional.normalize(embedded, p=2, dim=1))[0])
    return verdict


def fastflow():
    import make_fastflow
    official = make_fastflow.load_official(*checkouts[:2], Features(3))
    network = make_fastflow.make_network(official, size, False, 0)
    for name, value in network.named_parameters():
        saved = found.get(f"permutation.{name}")
        if saved is not None:
            order = saved.flatten().long().tolist()
            value.data = torch.eye(len(order))[order].reshape(value.shape)
    take(network, "flow.")
    return lambda image: float(make_fastflow.anomaly_map(network, prepare(image)).max())


def favae():
    teacher = backbone(vgg16())
    import make_favae
    vae, _, _, func = make_favae.load_official(checkouts[0])
    network = take(make_favae.begin(vae(), size), "vae.")

    def verdict(image):
        image = to_unit(image)[None]
        return float(make_favae.anomaly_map(network, teacher, func.feature_extractor, image, False).max())
    return verdict


def igd():
    encoder = backbone(resnet18())
    import make_igd
    module = make_igd.load(*checkouts[:2], lambda pretrained: encoder)
    import models.igd.mvtec_module as nets
    made = types.SimpleNamespace(g=take(nets.twoin1Generator256(64, latent_dimension=128), "generator."),
                                 d=nets.VisualDiscriminator256(64))
    module.NetIGD = lambda _: made
    network = module.IGD({"num_epochs": 1, "_latent_dimension": 128, "_data_range": 4.7579, "_gamma": 0.2,
                          "_optimizer_name": "adam", "_base_lr": 0.0001, "_weight_decay": 0.000001})
    made.g.c, made.g.sigma = found["generator.c"], found["generator.sigma"]

    def verdict(image):
        network.prediction([{"img": prepare(image)[None], "label": torch.zeros(1), "img_src": ""}], 0)
        return network.img_pred_list[-1]
    return verdict


before = megabytes(resident=True)
verdict = {"csflow": csflow, "cutpaste": cutpaste, "fastflow": fastflow, "favae": favae, "igd": igd}[detector]()
found.clear()
with open(folder + "/image", "rb") as file:
    picture = PIL.Image.frombytes("RGB", (size, size), file.read())
wanted = float(numpy.fromfile(folder + "/score", numpy.float32)[0])
ours = numpy.fromfile(folder + "/seconds", numpy.float64)
seconds, score = [], 0
for _ in range(images):
    start = time.process_time()
    score = verdict(picture)
    seconds.append(time.process_time() - start)
seconds.sort()
least, middle = seconds[0], seconds[len(seconds) // 2]
apart = abs(score - wanted) / abs(wanted)
print(f"public code  {least:8.4f} s  {middle:8.4f} s  {megabytes() - before:4.0f} MB above {before:.0f}; ours is "
      f"{ours[0] / least:.3f} and {ours[1] / middle:.3f} of its time\nthe scores differ by {apart:.2g} of their size")
sys.exit(apart > 1e-3)
