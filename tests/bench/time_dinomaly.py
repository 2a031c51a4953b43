"""Dinomaly's training step, for time_training.py: ten blocks of a ViT-S/14 as the frozen network, the
first version's defaults, StableAdamW parameter by parameter as its code has it."""
import torch
import torchvision
from torch import nn
from torch.nn import functional

WIDTH, HEADS, EIGHT = 384, 6, range(2, 10)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, eps=1e-8) for _ in range(2))
        self.all, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def attend(self, x):
        q, k, v = self.all(x).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        q, k = functional.elu(q) + 1, functional.elu(k) + 1
        sums = torch.einsum("...sd,...d->...s", q, k.sum(-2))
        mixed = torch.einsum("...de,...sd,...s->...se", torch.einsum("...sd,...se->...de", k, v), q, 1 / sums)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def forward(self, x):
        x = x + self.attend(self.norms[0](x))
        return x + self.mlp(self.norms[1](x))


class StableAdamW:
    def __init__(self, learned):
        self.states = [(p, *(torch.zeros_like(p) for _ in range(3))) for p in learned]
        self.steps = 0

    def zero_grad(self):
        for p, *_ in self.states:
            p.grad = None

    @torch.no_grad()
    def step(self, rate=2e-3):
        self.steps += 1
        first, second = 1 - 0.9**self.steps, 1 - 0.999**self.steps
        for p, mean, square, largest in self.states:
            p.mul_(1 - rate * 1e-4)
            mean.mul_(0.9).add_(p.grad, alpha=0.1)
            square.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
            torch.maximum(largest, square, out=largest)
            denominator = (largest.sqrt() / second**0.5).add_(1e-10)
            ratio = (p.grad / denominator).norm() / p.numel()**0.5
            p.addcdiv_(mean, denominator, value=-rate / first / max(1.0, float(ratio)))


def hard_cosine(wanted, given, easy):
    with torch.no_grad():
        distances = 1 - functional.cosine_similarity(wanted, given, 2)
        least = distances.flatten().topk(int(distances.numel() * (1 - easy)))[0][-1]
        factors = torch.where(distances < least, 0.1, 1.0)[..., None]
    given.register_hook(lambda gradient: gradient * factors)
    return (1 - functional.cosine_similarity(wanted.flatten(1), given.flatten(1))).mean()


def dinomaly(bench):
    seen = torchvision.models.VisionTransformer(bench.size, 14, 10, HEADS, WIDTH, 4 * WIDTH).eval()
    drop = lambda: nn.Dropout(0.2)
    bottleneck = nn.Sequential(drop(), nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), drop(),
                               nn.Linear(4 * WIDTH, WIDTH), drop())
    decoder = nn.ModuleList(Block() for _ in range(8))
    learned = [*bottleneck.parameters(), *decoder.parameters()]
    optimiser = StableAdamW(learned)

    def frozen():
        x = seen._process_input(bench.images)
        x = torch.cat([seen.class_token.expand(len(x), -1, -1), x], 1) + seen.encoder.pos_embedding
        out = []
        for layer in seen.encoder.layers:
            x = layer(x)
            out.append(x)
        return [torch.stack([out[i] for i in EIGHT[4 * g:4 * g + 4]]).mean(0) for g in (0, 1)]

    def step(groups):
        x, given = bottleneck((groups[0] + groups[1]) / 2), []
        for block in decoder:
            x = block(x)
            given.append(x)
        pairs = zip(groups, (given[4:], given[:4]))
        loss = sum(hard_cosine(w[:, 1:], torch.stack(g).mean(0)[:, 1:], 0.5) for w, g in pairs) / 2
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learned, 0.1)
        optimiser.step()
    return frozen, step
