#!/usr/bin/env python3
"""Trajectories of torch.optim and its schedulers, in float64, for tests/bridge/test_optimizer.c.

Made with: tests/golden/optimizers.py > tests/golden/optimizers.csv

The loss is sum(cos(w) * b) + sum(w^4) / 10 for w [2,3] and b [3]; from step 5 on, b has no part in
it and hence no gradient. Lines: optimiser, case, step, w[0,0] ... w[1,2], b[0] ... b[2]
and: schedule, case, step, learning rate.
"""
import torch

OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "sgd-decay": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.05),
    "sgd-momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05),
    "sgd-nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05,
                                              nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "adam-decay": lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.5, 0.99), eps=1e-4,
                                             weight_decay=0.05),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.05),
    "adamw-amsgrad": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.05, amsgrad=True),
}
SCHEDULERS = {
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5),
    "multistep": lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [2, 7], 0.1),
    "exponential": lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10, 0.01),
    "warm-up": lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.25, 1.0, 4),
}


def line(*fields):
    print(",".join(f"{f:.17g}" if isinstance(f, float) else str(f) for f in fields))


for name, make in OPTIMISERS.items():
    w = torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], dtype=torch.float64,
                     requires_grad=True)
    b = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    optimiser = make([w, b])
    for step in range(1, 9):
        used = b if step < 5 else b.detach()
        optimiser.zero_grad(set_to_none=True)
        loss = (torch.cos(w) * used).sum() + (w ** 4).sum() / 10
        loss.backward()
        optimiser.step()
        line("optimiser", name, step, *w.detach().flatten().tolist(), *b.detach().tolist())

for name, make in SCHEDULERS.items():
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.8)
    scheduler = make(optimiser)
    for step in range(11):
        line("schedule", name, step, optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
