#!/usr/bin/env python3
"""CutPaste's public code from libimiad's first parameters, on procedural views.

    tests/golden/make_cutpaste.py CUTPASTE > tests/golden/cutpaste.csv
    tests/golden/make_cutpaste.py CUTPASTE train SHARED STEPS BATCH SIZE SEED

CUTPASTE is a checkout of github.com/Runinho/pytorch-cutpaste: its network (model.py), what
run_training.py does in a step and with the learning rate, and its densities (density.py). In double
precision, three views of four images of 32 x 32: the losses of ten steps of SGD, gradients of the
first, parameters after the last one, and what the network makes of the originals in evaluation mode. `spread` is how far the same code in single precision lies
from that. Then scikit-learn's Ledoit-Wolf estimate of 50 and of 5 rows of 32 values, and the scores
of other rows by both densities.
The second form runs their run_training on the transistor images, three-way, with the weights of SHARED up
to layer3, which is where the embedding is taken, and prints the AUROC of their eval_model. What it draws
are its own random numbers.
First parameters are libimiad's random streams, computed here once more. Needs torch, torchvision,
numpy and scikit-learn; a training joblib, pandas, matplotlib and Pillow too.
"""
import math
import os
import pathlib
import random
import sys
import tempfile
import types

import numpy
import torch
from sklearn.covariance import LedoitWolf

from make_draem import spread, wave
from make_rd4ad import uniform
from make_stpm import normal, sample

SEED, STEPS, IMAGES, VIEWS, SIDE = 66, 10, 4, 3, 32
ROWS, VALUES = 50, 32


def begin(network):
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            shape = tuple(module.weight.shape)
            deviation = (2 / (shape[0] * shape[2] * shape[3])) ** 0.5
            purpose = f"cutpaste/encoder/{name.removeprefix('resnet18.')}"
            module.weight.data = normal(SEED, purpose, shape, deviation)
        elif isinstance(module, torch.nn.Linear):
            shape, bound = tuple(module.weight.shape), module.weight.shape[1] ** -0.5
            module.weight.data = uniform(SEED, f"cutpaste/{name}.weight", shape, bound)
            module.bias.data = uniform(SEED, f"cutpaste/{name}.bias", shape[:1], bound)
    return network


def our_name(name):
    return "encoder." + name.removeprefix("resnet18.") if name.startswith("resnet18.") else name


def compared(network):
    for name, value in network.named_parameters():
        if value.dim() > 1:
            yield our_name(name), value
    for name, value in network.named_buffers():
        if name.endswith("running_var"):
            yield our_name(name), value


def run(model, type):
    network = begin(model.ProjectionNet(pretrained=False, head_layers=[512, 128],
                                        num_classes=VIEWS)).to(type)
    views = [wave((IMAGES, 3, SIDE, SIDE), phase, type) - 1 for phase in range(VIEWS)]
    classes = torch.arange(VIEWS).repeat_interleave(IMAGES)
    sgd = torch.optim.SGD(network.parameters(), lr=0.03, momentum=0.9, weight_decay=0.00003)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(sgd, STEPS)
    out = []
    for step in range(STEPS):
        sgd.zero_grad()
        _, logits = network(torch.cat(views, axis=0))
        loss = torch.nn.functional.cross_entropy(logits, classes)
        loss.backward()
        out.append((f"loss,steps,{step}", [loss.item()]))
        if step == 0:
            out += [(f"gradient,steps,{name}", [float(p.grad.norm())] + sample(p.grad)[0])
                    for name, p in compared(network) if p.requires_grad]
        sgd.step()
        schedule.step(step)
    out += [(f"parameter,steps,{name}", [float(p.norm())] + sample(p)[0])
            for name, p in compared(network)]
    network.eval()
    with torch.no_grad():
        embedded, _ = network(views[0])
    return out + [("embedding,steps,originals",
                   [float(embedded.norm())] + sample(embedded)[0])]


def scattered(rows, first):
    """Between 0 and 1, the fraction of a large sine; columns of different width."""
    i = numpy.arange(rows * VALUES, dtype=numpy.float64) + first
    values = numpy.sin(i * 12.9898) * 437.585453
    return (values - numpy.floor(values)).reshape(rows, VALUES) * (1 + numpy.arange(VALUES) % 5)


def run_density(density):
    tested = torch.from_numpy(scattered(5, 7777))
    for rows in (ROWS, 5):
        normals = scattered(rows, 0)
        estimate = LedoitWolf().fit(normals)
        print(f"shrinkage,rows{rows},rho,{estimate.shrinkage_:.12g}")
        flat = torch.from_numpy(estimate.precision_)
        print(",".join([f"precision,rows{rows},P"] + [f"{v:.12g}" for v in
                                                      [float(flat.norm())] + sample(flat)[0]]))
        gaussian = density.GaussianDensityTorch()
        gaussian.mean = torch.from_numpy(normals).mean(axis=0)
        gaussian.inv_cov = torch.from_numpy(estimate.precision_)
        scores = gaussian.predict(tested)
        print(",".join([f"gaussian,rows{rows},scores"] + [f"{float(v):.12g}" for v in scores]))


def train(shared, steps, batch, size, seed):
    from make_stpm import missing_modules, read_safetensors
    stub = types.ModuleType("torch.utils.tensorboard")
    stub.SummaryWriter = lambda folder: types.SimpleNamespace(add_scalar=lambda *values: None)
    sys.modules["torch.utils.tensorboard"] = stub
    missing_modules("pandas", "seaborn", "tqdm")
    sys.modules["tqdm"].tqdm = getattr(sys.modules["tqdm"], "tqdm", lambda steps: steps)
    import cutpaste
    import eval as evaluation
    import run_training
    shared, made = os.path.abspath(shared), []

    def make_network(pretrained, head_layers, num_classes):
        network = run_training.model_class(pretrained=False, head_layers=[256] + head_layers[1:],
                                           num_classes=num_classes)
        network.head[0] = torch.nn.Linear(256, 256)
        network.resnet18.layer4 = torch.nn.Identity()
        network.resnet18.load_state_dict(read_safetensors(
            f"{shared}/data/weights/resnet18_imagenet1k_v1_partial_bnfolded.safetensors"), strict=False)
        made.append(network)
        return network
    run_training.model_class, run_training.ProjectionNet = run_training.ProjectionNet, make_network
    torch.manual_seed(seed), random.seed(seed), numpy.random.seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.mkdir("Data")
        os.symlink(f"{shared}/data/mvtec_ad/transistor", "Data/transistor")
        sys.stdout = sys.stderr
        run_training.run_training("transistor", pathlib.Path(folder),
                                  epochs=steps, test_epochs=-1, batch_size=batch, head_layer=1,
                                  cutpate_type=cutpaste.CutPaste3Way, device="cpu", workers=1, size=size,
                                  optim_name="sgd")
        made[0].eval()
        auroc = evaluation.eval_model("", "transistor", size=size, model=made[0])
        sys.stdout = sys.__stdout__
        os.chdir("/")
    print(f"seed {seed}: image AUROC {auroc:.4f}")


def main():
    sys.path.insert(0, sys.argv[1])
    if len(sys.argv) > 2:
        torch.set_num_threads(1)
        train(sys.argv[3], *map(int, sys.argv[4:]))
        return
    import density
    import model
    exact, single = run(model, torch.float64), run(model, torch.float32)
    for name, values in exact:
        print(",".join([name] + [f"{v:.12g}" for v in values]))
    for kind, of in (("loss", "losses"), ("gradient", "gradients"), ("parameter", "parameters"),
                     ("embedding", "embeddings")):
        print(f"spread,steps,{of},{spread(exact, single, kind):.9g}")
    assert math.isfinite(exact[0][1][0])
    run_density(density)


if __name__ == "__main__":
    main()
