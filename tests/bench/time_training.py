"""Seconds of one CPU that a training step of STPM takes in PyTorch's Python front end, eager:

    time_training.py BATCH SIZE ROUNDS

ResNet-18 up to layer3, default memory format, SGD; prints the least over the rounds of a step with
the teacher's forward pass in it, and of one without.
"""
import sys
import time

import torch
import torchvision
from torch.nn import functional

torch.set_num_threads(1)
batch, size, rounds = (int(text) for text in sys.argv[1:4])
teacher, student = torchvision.models.resnet18().eval(), torchvision.models.resnet18().train()
optimiser = torch.optim.SGD(student.parameters(), lr=0.4, momentum=0.9, weight_decay=1e-4)
images = torch.rand(batch, 3, size, size)


def features(network):
    x = network.maxpool(network.relu(network.bn1(network.conv1(images))))
    out = []
    for layer in (network.layer1, network.layer2, network.layer3):
        x = layer(x)
        out.append(functional.normalize(x))
    return out


def teach():
    with torch.no_grad():
        return features(teacher)


def step(targets):
    optimiser.zero_grad()
    loss = sum((t - s).square().sum(1).mean() for t, s in zip(targets, features(student)))
    loss.backward()
    optimiser.step()


def best(action):
    action()
    times = []
    for _ in range(rounds):
        begin = time.process_time()
        action()
        times.append(time.process_time() - begin)
    return min(times)


kept = teach()
print(best(lambda: step(teach())), best(lambda: step(kept)))
