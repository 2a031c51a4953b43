#!/usr/bin/env python3
"""Golden values of DRA from the authors' code.

    tests/golden/make_dra.py DRA OPEN_IAD > tests/golden/dra.csv
    tests/golden/make_dra.py DRA SHARED RESULTS.json EPOCHS STEPS BATCH SIZE SEED...

DRA is a checkout of github.com/Choubo/DRA: its modeling/ and train.py are run. Weights and images are
numbers that this script and the test both compute (formula.py's `noise`), so nothing has to be
stored; the prior's are libimiad's random streams.

    score,headsS,HEAD,SCORES...          in training, of two procedural maps of S x S positions and
    gradient,headsS,HEAD,NORM,SUMS...    128 channels, with five references, and the
                                         gradient of their sum with
                                         respect to all seven maps, which is weighed with `noise`
                                         of eight seeds; in double precision
    loss,losses,HEAD,LOSS                of six images, labels 0 1 2 0 1 2
    score,eval,IMAGE-HEAD,SCORE          of two images of 128 x 128 with five references
    rate,rates,EPOCH,RATE                of 30 epochs
    loss,steps,STEP,LOSS                 ten steps of their Trainer on six images of 32 x 32 and two
                                         references, in double precision and up to layer2, so that
                                         the test is quick, and all tensors after them:
    parameter,steps,NAME,NORM,SAMPLES...
    loss,open_iad,STEP,LOSS              the same of four steps of the IM-IAD code (arch/dra.py of a
    parameter,open_iad,NAME,...          checkout of github.com/M-3LAB/open-iad)

The second form trains their code on the transistor images as make_devnet.py's does; the references of
test batches are theirs, pasted and turned as well. Needs Pillow too.

Needs torch, torchvision and numpy.
"""
import contextlib
import itertools
import random
import sys
import tempfile
import types

import torch

from make_devnet import (Prior, Recorded, fill, images, judge, line, make_set, noise, print_state, print_trained,
                         read_split, shorten, stub_base, stub_modules)
from make_stpm import procedural

HEADS, STEPS, SUMS = ("holistic", "seen", "pseudo", "composite"), 10, 8


def make_network(net, size, references=5, whole=True):
    settings = types.SimpleNamespace(topk=0.1, total_heads=4, n_scales=2, img_size=size, nRef=references)
    with contextlib.redirect_stdout(sys.stderr):  # it prints the backbone's name
        network = net.DRA(settings)
    if not whole:
        network.feature_extractor.net.layer3 = network.feature_extractor.net.layer4 = torch.nn.Identity()
        network.holistic_head = net.HolisticHead(128)
        network.seen_head, network.pseudo_head = net.PlainHead(128), net.PlainHead(128)
        network.composite_head = net.CompositeHead(128)
    return fill(network)


def print_heads(net):
    for side in (14, 7):
        network = make_network(net, side, whole=False).double()
        maps = procedural((7, 128, side, side), side).requires_grad_(True)
        found = [network.holistic_head(maps[5:]), network.seen_head(maps[5:]),
                 network.pseudo_head(maps[5:]), network.composite_head(maps[5:], maps[:5])]
        for head, scores in zip(HEADS, found):
            maps.grad = None
            scores.sum().backward()
            line("score", f"heads{side}", head, *scores)
            flat = maps.grad.view(-1)
            sums = [flat @ torch.from_numpy(noise(len(flat), seed)) for seed in range(SUMS)]
            line("gradient", f"heads{side}", head, flat.norm(), *sums)


def make_trainer(train, network, criterion, batches, references):
    """As Trainer.__init__ without its data."""
    trainer = object.__new__(train.Trainer)
    trainer.args = types.SimpleNamespace(cuda=False, total_heads=4, criterion="deviation")
    trainer.model, trainer.criterion, trainer.train_loader = network, criterion, batches
    trainer.ref = itertools.repeat(references)
    trainer.optimizer = torch.optim.Adam(network.parameters(), lr=0.0002, weight_decay=1e-5)
    trainer.scheduler = torch.optim.lr_scheduler.StepLR(trainer.optimizer, step_size=10, gamma=0.1)
    return trainer


def print_losses(train, criterion):
    torch.normal = Prior()
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    trainer = make_trainer(train, torch.nn.Linear(1, 1), criterion, [], None)
    targets = trainer.generate_target(labels)
    subsets = (labels >= 0, labels != 2, labels != 1, labels >= 0)
    for i, head in enumerate(HEADS):
        scores = torch.from_numpy(4 * (noise(6, i) + 1))
        line("loss", "losses", head, criterion(scores[subsets[i]], targets[i].float()))


def print_scores(net):
    network = make_network(net, 128).eval()
    with torch.no_grad():
        found = network(torch.cat([images(0, 5, 128), images(10, 2, 128)]), torch.zeros(2))
    for head, scores in zip(HEADS, found):
        for i, score in enumerate(scores):
            line("score", "eval", f"{i}-{head}", score)


def print_rates(train, criterion):
    trainer = make_trainer(train, torch.nn.Linear(1, 1), criterion, [], None)
    for epoch in range(30):
        trainer.training(epoch)
        line("rate", "rates", epoch, trainer.optimizer.param_groups[0]["lr"])


def print_steps(net, train, criterion):
    torch.normal = Prior(iter(f"dra/prior{head}/{step}" for step in range(STEPS) for head in range(4)))
    batch = {"image": images(20, 6, 32).double(), "label": torch.tensor([0.0, 2, 0, 2, 1, 1])}
    network = make_network(net, 32, references=2, whole=False).double()
    losses = []

    def recorded(*arguments):
        losses.append(criterion(*arguments))
        return losses[-1]
    trainer = make_trainer(train, network, recorded, [batch], {"image": images(30, 2, 32).double()})
    for step in range(STEPS):
        trainer.training(step)
        line("loss", "steps", step, sum(losses[4 * step:]))
    print_state("steps", network)


def print_open_iad(folder, net):
    """Four steps of one epoch of their train_model."""
    stub_base(folder)
    import arch.dra
    official = make_network(net, 32, references=2, whole=False)
    model = arch.dra.DRA({
        "_n_scales": 2, "_img_size": 32, "_topk": 0.1, "_criterion": "deviation", "_step_size": 10, "_gamma": 0.1,
        "_optimizer_name": "adam", "_base_lr": 0.0002, "_weight_decay": 0.00001, "num_epochs": 1,
        "_total_heads": 4, "ref_num": 2})
    model.net.net.layer3 = model.net.net.layer4 = torch.nn.Identity()
    for head in ("holistic_head", "seen_head", "pseudo_head", "composite_head"):
        setattr(model.model, head, getattr(official, head))
    model.model.load_state_dict({name.replace("feature_extractor", "net"): value
                                 for name, value in official.state_dict().items()})
    model.model.double()
    losses, plain = [], model.criterion

    def recorded(*arguments):
        losses.append(plain(*arguments))
        return losses[-1]
    model.criterion = recorded
    torch.normal = Prior(iter(f"dra/prior{head}/{step}" for step in range(4) for head in range(4)))
    batch = {"img": images(20, 6, 32).double(), "label": torch.tensor([0, 0, 0, 0, 1, 1])}
    model.train_model(([batch] * 4, [{"img": images(30, 2, 32).double()}]), 0)
    for step in range(4):
        line("loss", "open_iad", step, sum(losses[4 * step:4 * step + 4]))
    print_state("open_iad", model.model, ("net.net.", "feature_extractor.net."))


def run_training(shared, results, epochs, steps, batch, size, *seeds):
    import numpy
    import train
    from dataloaders.utlis import BalancedBatchSampler
    from datasets import mvtecad
    from modeling import net
    from modeling.layers import build_criterion
    root, trained, tested = read_split(shared, results)
    settings = types.SimpleNamespace(nAnomaly=10, batch_size=batch, steps_per_epoch=steps, img_size=size,
                                     n_scales=2, topk=0.1, nRef=5, total_heads=4, cuda=False,
                                     criterion="deviation", experiment_dir=tempfile.mkdtemp())
    train.aucPerformance, train.args = judge, settings  # eval() writes into its folder

    def loader(paths, count, anomalies):
        made = make_set(mvtecad, settings, root, paths, True)
        made.transform_pseudo = mvtecad.MVTecAD.transform_pseudo(made)
        how = types.SimpleNamespace(nAnomaly=anomalies, batch_size=count, steps_per_epoch=steps)
        return torch.utils.data.DataLoader(made, batch_sampler=BalancedBatchSampler(how, made))

    def train_once(seed):
        torch.manual_seed(seed), numpy.random.seed(seed), random.seed(seed)
        network = net.DRA(settings)
        shorten(network, shared)
        network.holistic_head, network.composite_head = net.HolisticHead(256), net.CompositeHead(256)
        network.seen_head, network.pseudo_head = net.PlainHead(256), net.PlainHead(256)
        criterion = Recorded(build_criterion("deviation"))
        trainer = make_trainer(train, network, criterion, loader(trained, batch, 10), None)
        trainer.ref_loader = loader([path for path in trained if "/good/" in path], 5, 0)
        trainer.ref = iter(trainer.ref_loader)
        trainer.test_loader = torch.utils.data.DataLoader(make_set(mvtecad, settings, root, tested, False), batch)
        trainer.args = settings
        for epoch in range(epochs):
            trainer.training(epoch)
        losses = criterion.epochs(epochs, len(HEADS))
        return losses, trainer.eval()
    print_trained(seeds, ("image AUROC", "AP"), train_once)


def main():
    sys.path.insert(0, sys.argv[1])
    if len(sys.argv) > 3:
        stub_modules()
        run_training(*sys.argv[2:4], *map(int, sys.argv[4:]))
        return
    stub_modules("PIL")
    import train
    from modeling import net
    from modeling.layers import build_criterion
    with contextlib.redirect_stdout(sys.stderr):
        criterion = build_criterion("deviation")
    print_heads(net)
    print_losses(train, criterion)
    print_scores(net)
    print_rates(train, criterion)
    print_steps(net, train, criterion)
    print_open_iad(sys.argv[2], net)


if __name__ == "__main__":
    main()
