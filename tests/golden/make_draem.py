#!/usr/bin/env python3
"""DRAEM's public code from libimiad's first parameters, on procedural images.

    tests/golden/make_draem.py DRAEM > tests/golden/draem.csv
    tests/golden/make_draem.py DRAEM checkpoint FILE.pckl
    tests/golden/make_draem.py DRAEM prepare SHARED FOLDER SIZE
    tests/golden/make_draem.py DRAEM train FOLDER FOLDER/textures EPOCHS SIZE WIDTH SEED RATE
    tests/golden/make_draem.py DRAEM first FOLDER WIDTH SEED
    tests/golden/make_draem.py DRAEM beside FOLDER EPOCHS SIZE WIDTH RATE [WHICH]

DRAEM is a checkout of github.com/VitjanZ/DRAEM: its networks (model_unet.py), losses (loss.py) and
what train_DRAEM.py and test_DRAEM.py do with them. Both networks are 4 channels wide, images are
64 x 64. In double precision: the losses of ten steps of Adam at the authors' rate, gradients of the
first step, parameters and a map after the last one, and `late` losses up to the fiftieth; the loss
where what is repaired reaches below -0.5 or above 128, which changes SSIM's range; a map of the first
parameters, of an image whose channels are blue, green, red, as the authors read it. `spread` is how far the same code in single
precision lies from that. The second form writes those parameters as the authors' checkpoints:
FILE.pckl and FILE_seg.pckl.
The third form makes what both trainings read, so that neither resizes: FOLDER/data/mvtec_ad, the transistor images
with SIZE pixels a side, and FOLDER/textures, twelve of each of five kinds that the library draws. It needs the
library's Python package, imiad.
The fourth form runs their train_on_device and test on these images, WIDTH channels wide where the authors' have 128 and
64, at the learning rate RATE, with the textures TEXTURES/*/*.jpg. What it draws are its own random numbers.
The fifth form writes first parameters that their programs draw: FOLDER/first.pckl and FOLDER/first_seg.pckl. The
sixth form runs the same two programs from there on FOLDER/batches, which tests/bench/train_draem.c wrote while the
library trained. WHICH is single, double, nudged or double_nudged: single or double precision, the latter two from
parameters each of which was moved to the next number of that precision. It writes the losses to FOLDER/losses_WHICH.csv.
First parameters of the others are libimiad's random streams, computed here once more. Needs torch and numpy; a training
imgaug, OpenCV and scikit-learn too.
"""
import ctypes
import functools
import glob
import os
import sys
import tempfile
import types

import numpy
import torch

from make_resize import procedural
from make_rd4ad import uniform
from make_stpm import normal, sample, stream

SEED, STEPS, WIDTH, SIDE, IMAGES, RATE = 66, 10, 4, 64, 4, 1e-3
WIDER = 0.13  # deviation of weights where nothing was trained: what they give varies more


def around_one(purpose, count):
    """N(1, 0.02), rounded once."""
    u = (stream(SEED, purpose, 2 * count) >> numpy.uint64(11)).astype(numpy.float64) * 2.0**-53
    z = numpy.sqrt(-2 * numpy.log(1 - u[0::2])) * numpy.cos(6.283185307179586 * u[1::2])
    return torch.from_numpy((1 + 0.02 * z).astype(numpy.float32))


def begin(network, part, deviation):
    for name, module in network.named_modules():
        purpose = f"draem/{part}/{name}"
        if isinstance(module, torch.nn.Conv2d):
            shape = tuple(module.weight.shape)
            module.weight.data = normal(SEED, purpose + ".weight", shape, deviation)
            module.bias.data = uniform(SEED, purpose + ".bias", shape[:1], (shape[1] * 9) ** -0.5)
        elif isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data = around_one(purpose + ".weight", module.num_features)
    return network


def make_networks(model, type, deviation=0.02):
    return (begin(model.ReconstructiveSubNetwork(base_width=WIDTH), "reconstruction",
                  deviation).to(type),
            begin(model.DiscriminativeSubNetwork(in_channels=6, out_channels=2,
                                                 base_channels=WIDTH), "discrimination",
                  deviation).to(type))


def wave(shape, phase, type):
    count = int(numpy.prod(shape))
    values = 1 + numpy.sin(0.37 * numpy.arange(count, dtype=numpy.float64) + phase)
    return torch.from_numpy(values.reshape(shape)).to(type)


def make_batch(type):
    """Clean, damaged, mask."""
    shape = (IMAGES, 3, SIDE, SIDE)
    clean = wave(shape, 0, type) / 2
    mask = (wave((IMAGES, 1, SIDE, SIDE), 1, type) > 1.5).to(type)
    return clean, clean * (1 - mask) + wave(shape, 2, type) / 2 * mask, mask


class Losses:
    def __init__(self, module, type):
        torch.Tensor.cuda = lambda self: self
        self.ssim, self.focal, self.type = module.SSIM(), module.FocalLoss(), type

    def __call__(self, networks, batch):
        clean, damaged, mask = batch
        repaired = networks[0](damaged)
        logits = networks[1](torch.cat((repaired, damaged), dim=1))
        return (torch.nn.functional.mse_loss(repaired, clean) + self.ssim(repaired, clean)
                + self.focal(torch.softmax(logits, dim=1), mask))


def score(networks, image):
    """As test_DRAEM.py."""
    for network in networks:
        network.eval()
    with torch.no_grad():
        repaired = networks[0](image)
        logits = networks[1](torch.cat((repaired, image), dim=1))
        map_ = torch.softmax(logits, dim=1)[:, 1:]
        pooled = torch.nn.functional.avg_pool2d(map_, 21, stride=1, padding=21 // 2)
    for network in networks:
        network.train()
    return float(pooled.max()), map_


def parameters(networks):
    for part, network in zip(("reconstruction", "discrimination"), networks):
        for name, value in network.named_parameters():
            if name.endswith("weight"):
                yield f"{part}.{name}", value
        for name, value in network.named_buffers():
            if name.endswith("running_var"):
                yield f"{part}.{name}", value


def run(model, losses, type):
    """Everything that is compared: name of the line, its values."""
    networks, batch, out = make_networks(model, type), make_batch(type), []
    for name, shift in (("dark", -3.0), ("bright", 200.0)):
        with torch.no_grad():
            networks[0].decoder.fin_out[0].bias += shift
        out.append((f"loss,{name},0", [losses(networks, batch).item()]))
        networks = make_networks(model, type)
    image = torch.from_numpy(procedural(SIDE, SIDE, 3)[:, :, ::-1].copy()).permute(2, 0, 1)[None]
    value, map_ = score(make_networks(model, type, WIDER), image.to(type) / 255)
    out.append(("map,import,procedural", [value, float(map_.max())] + sample(map_)[0]))
    adam = torch.optim.Adam([p for n in networks for p in n.parameters()], lr=RATE)
    for step in range(STEPS):
        adam.zero_grad()
        loss = losses(networks, batch)
        loss.backward()
        out.append((f"loss,steps,{step}", [loss.item()]))
        if step == 0:
            out += [(f"gradient,steps,{name}", [float(p.grad.norm())] + sample(p.grad)[0])
                    for name, p in parameters(networks)
                    if p.requires_grad and p.dim() == 4]
        adam.step()
    out += [(f"parameter,steps,{name}", [float(p.norm())] + sample(p)[0])
            for name, p in parameters(networks)]
    value, map_ = score(networks, image.flip(1).to(type) / 255)
    out += [("map,steps,procedural", [value, float(map_.max())] + sample(map_)[0])]
    for step in range(STEPS, 50):
        adam.zero_grad()
        loss = losses(networks, batch)
        loss.backward()
        if step % 10 == 9:
            out.append((f"late,fifty,{step}", [loss.item()]))
        adam.step()
    return out


def spread(exact, single, kind):
    worst = 0
    for (name, wanted), (_, found) in zip(exact, single):
        if name.startswith(kind + ","):
            worst = max(worst, max(abs(a - b) for a, b in zip(wanted, found)) / max(map(abs, wanted)))
    return worst


def load_script(folder, name, size):
    """One of the authors' programs for another size, on the CPU."""
    with open(f"{folder}/{name}.py") as file:
        source = file.read().replace("256", str(size)).replace("cuda:0", "cpu")
    module = types.ModuleType(name)
    exec(compile(source.replace("num_workers=16", "num_workers=0"), name, "exec"), module.__dict__)
    return module


def prepare(shared, folder, size):
    import cv2
    import imiad
    from imiad import _abi, _images, _library
    images, below = f"{shared}/data/mvtec_ad/", f"{folder}/data/mvtec_ad/"
    for path in sorted(glob.glob(images + "transistor/**/*.png", recursive=True)):
        image = imiad.read_image(path)
        if image.ndim == 2:  # a mask
            image = cv2.resize(image, (size, size), interpolation=cv2.INTER_NEAREST)
        else:
            image = imiad.resize(image, size, size)
        imiad.write_png(image, below + path[len(images):])
    ground = numpy.zeros((size, size, 3), numpy.uint8)
    for kind in ("clouds", "gratings", "cells", "tiles", "blobs"):
        os.makedirs(f"{folder}/textures/{kind}", exist_ok=True)
        for i in range(12):
            out = ctypes.POINTER(_abi.imiad_image)()
            _library.lib.imiad_synthesize(out, None, f"texture_{kind}".encode(), _images.given(ground), None, i,
                                          b"make_draem")
            cv2.imwrite(f"{folder}/textures/{kind}/{i}.jpg", _images.taken(out)[:, :, ::-1],
                        [cv2.IMWRITE_JPEG_QUALITY, 98])


def load_programs(folder, size, seed):
    """Their two programs, that which learns and that which tests."""
    numpy.bool, numpy.int, numpy.float, numpy.complex, numpy.object = bool, int, float, complex, object  # for imgaug
    torch.manual_seed(seed), numpy.random.seed(seed), imgaug_seed(seed)
    torch.Tensor.cuda = torch.nn.Module.cuda = lambda self: self
    sys.modules["tensorboard_visualizer"] = types.SimpleNamespace(TensorboardVisualizer=lambda log_dir: None)
    return load_script(folder, "train_DRAEM", size), load_script(folder, "test_DRAEM", size)


def narrow(program, width):
    import model_unet
    program.ReconstructiveSubNetwork = functools.partial(model_unet.ReconstructiveSubNetwork, base_width=width)
    program.DiscriminativeSubNetwork = functools.partial(model_unet.DiscriminativeSubNetwork, base_channels=width)


def learn_and_test(learning, testing, shared, textures, epochs, rate):
    shared, textures = os.path.abspath(shared), os.path.abspath(textures)
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        sys.stdout = sys.stderr
        learning.train_on_device(["transistor"], types.SimpleNamespace(
            checkpoint_path=scratch, log_path=scratch, lr=rate, bs=8, epochs=epochs, visualize=False,
            data_path=f"{shared}/data/mvtec_ad/", anomaly_source_path=textures))
        sys.stdout = sys.__stdout__
        testing.test(["transistor"], f"{shared}/data/mvtec_ad/", scratch,
                     f"DRAEM_test_{rate}_{epochs}_bs8")
        os.chdir("/")


def train(folder, shared, textures, epochs, size, width, seed, rate):
    learning, testing = load_programs(folder, int(size), int(seed))
    narrow(learning, int(width)), narrow(testing, int(width))
    learn_and_test(learning, testing, shared, textures, int(epochs), float(rate))


def first(folder, out, width, seed):
    learning, _ = load_programs(folder, SIDE, int(seed))
    narrow(learning, int(width))
    for network, ending in ((learning.ReconstructiveSubNetwork(), ""),
                            (learning.DiscriminativeSubNetwork(in_channels=6, out_channels=2), "_seg")):
        torch.save(network.apply(learning.weights_init).state_dict(), f"{out}/first{ending}.pckl")


class Batches:
    """As their loader of data: an epoch's batches each time. Blue, green, red, as the authors read images."""
    def __init__(self, path, epochs, size, type):
        self.file, self.size, self.type = open(path, "rb"), size, type
        # of a step 4 bytes, and 28 of each pixel
        self.images = os.path.getsize(path) // epochs // (28 * size * size)

    def planes(self, count, channels):
        values = numpy.fromfile(self.file, numpy.float32, count * channels * self.size**2)
        return torch.from_numpy(values).reshape(count, channels, self.size, self.size).flip(1).to(self.type)

    def __iter__(self):
        left = self.images
        while left > 0:
            count = int(numpy.fromfile(self.file, numpy.int32, 1)[0])
            yield {name: self.planes(count, channels) for name, channels in
                   (("image", 3), ("augmented_image", 3), ("anomaly_mask", 1))}
            left -= count


def beside(folder, out, epochs, size, width, rate, which="single"):
    epochs, size, out = int(epochs), int(size), os.path.abspath(out)
    type = torch.float64 if "double" in which else torch.float32
    learning, testing = load_programs(folder, size, 0)
    narrow(learning, int(width)), narrow(testing, int(width))
    drawn = learning.ReconstructiveSubNetwork, learning.DiscriminativeSubNetwork

    def begun(make, path):
        def network(**channels):
            made = make(**channels)
            made.load_state_dict(torch.load(path))
            made.to(type)
            for p in made.parameters() if "nudged" in which else ():
                p.data = torch.nextafter(p.data, torch.tensor(numpy.inf, dtype=type))
            return made
        return network
    learning.ReconstructiveSubNetwork = begun(drawn[0], f"{out}/first.pckl")
    learning.DiscriminativeSubNetwork = begun(drawn[1], f"{out}/first_seg.pckl")
    learning.weights_init = lambda module: None
    learning.MVTecDRAEMTrainDataset = lambda *_, **__: None
    learning.DataLoader = lambda *_, **__: Batches(f"{out}/batches", epochs, size, type)
    backward = torch.Tensor.backward
    with open(f"{out}/losses_{which}.csv", "w", encoding="ascii") as losses:
        def keep(loss):
            losses.write(f"{loss.item():.17g}\n")
            backward(loss)
        torch.Tensor.backward = keep
        learn_and_test(learning, testing, out, out, epochs, float(rate))


def imgaug_seed(seed):
    import imgaug
    imgaug.seed(seed)


def main():
    sys.path.insert(0, sys.argv[1])
    if sys.argv[2:3] == ["prepare"]:
        prepare(*sys.argv[3:5], int(sys.argv[5]))
        return
    if sys.argv[2:3] == ["train"]:
        torch.set_num_threads(1)
        train(sys.argv[1], *sys.argv[3:])
        return
    if sys.argv[2:3] in (["first"], ["beside"]):
        torch.set_num_threads(1)
        {"first": first, "beside": beside}[sys.argv[2]](sys.argv[1], *sys.argv[3:])
        return
    import loss
    import model_unet
    if len(sys.argv) == 4:
        for network, path in zip(make_networks(model_unet, torch.float32, WIDER),
                                 (sys.argv[3], sys.argv[3].replace(".pckl", "_seg.pckl"))):
            torch.save(network.state_dict(), path)
        return
    exact = run(model_unet, Losses(loss, torch.float64), torch.float64)
    single = run(model_unet, Losses(loss, torch.float32), torch.float32)
    for name, values in exact:
        print(",".join([name] + [f"{v:.12g}" for v in values]))
    for kind, of in (("loss", "losses"), ("gradient", "gradients"), ("parameter", "parameters"),
                     ("map", "maps")):
        print(f"spread,steps,{of},{spread(exact, single, kind):.9g}")


if __name__ == "__main__":
    main()
