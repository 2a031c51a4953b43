#!/usr/bin/env python3
"""Golden values of DRA from the authors' code.

    tests/golden/make_dra.py DRA > tests/golden/dra.csv

DRA is a checkout of github.com/Choubo/DRA: its modeling/ and train.py are run. Weights and images are
numbers that this script and the test both compute (make_devnet.py's `noise`), so nothing has to be
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

Needs torch, torchvision and numpy.
"""
import contextlib
import itertools
import sys
import types

import torch

from make_devnet import Prior, fill, images, line, noise, print_state, stub_modules
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


def main():
    stub_modules("PIL")
    sys.path.insert(0, sys.argv[1])
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


if __name__ == "__main__":
    main()
