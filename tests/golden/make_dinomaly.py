#!/usr/bin/env python3
"""Dinomaly of the authors beside the library's.

    tests/golden/make_dinomaly.py golden DINOMALY DINOMALY2 > tests/golden/dinomaly.csv
    tests/golden/make_dinomaly.py theirs DINOMALY WEIGHTS FOLDER OUT [OPTION=VALUE...]
    tests/golden/make_dinomaly.py ours OUT [OPTION=VALUE...]

DINOMALY is a checkout of github.com/guojiajeremy/Dinomaly (c5c76d0), DINOMALY2 one of the fork
github.com/negin-kafee/Dinomaly2 (9d32cbc), which has the authors' later code: their networks, losses,
optimiser, schedules and maps are run.

`golden` runs them with weights and features that this script and tests/detectors/test_dinomaly.c
both compute (`noise`), in double precision. CASE is v1 or v2, the first and the second version.

    position,table,28,NORM,SAMPLES...       position codes, 37 x 37 of 8 values, for 28 x 28
    encoder,CASE,e1|e2,NORM,SAMPLES...      the groups of ViT-S/14 with registers, 4 images, 56 pixels
    wanted,CASE,e1|e2,NORM,SAMPLES...       what the decoder is to give back of them
    bottleneck,CASE,out,NORM,SAMPLES...
    attention,CASE,out,NORM,SAMPLES...      of the first block, of the bottleneck's output
    decoder,CASE,d1|d2,NORM,SAMPLES...
    map,CASE,IMAGE,SCORE,LARGEST,SAMPLES... 256 x 256
    mask,CASE,1|2,TEXT                      points whose gradients are scaled (1), of 3 images, p = 0.9
    point,CASE,1|2,NORM,SAMPLES...          the gradient of the decoder's group
    loss,CASE,STEP,LOSS                     STEPS at those of 5000 steps, without dropout
    norm,CASE,STEP,NORM                     of the gradients, before they are scaled down to 0.1
    gradient,CASE,NAME,NORM,SAMPLES...      of the first step, before that: bottleneck, two blocks
    parameter,CASE,NAME,NORM,SAMPLES...     after the last
    spread,CASE,WHAT,SPREAD                 how far the code in single precision lies from that
    schedule,CASE,STEP,RATES...             of 5000 steps
    optimiser,o1|o2,STEP,RATIO,VALUES...    StableAdamW on 6 values; by how much the rate is divided

`theirs` trains their network on a category in MVTec AD's layout (FOLDER) with the weights of DINOv2
ViT-S/14 (WEIGHTS, .pth, or "random:SEED"), which it writes to OUT/weights.pth, and `ours` the
library on the same images. Options: size=224, crop=196, steps=200, batch=8, version=1, total=0
(steps that the schedule is laid out for; 0: those that are taken), images=0 (test images, 0: all).
`theirs` prints its losses and image AUROC and keeps what its encoder sees and its checkpoint; `ours`
prints the largest difference of the first, its own figures and what the checkpoint scores. The library's Python package must be on PYTHONPATH.

Needs torch, torchvision, numpy, scikit-learn and Pillow; `ours` numpy and scikit-learn.
"""
import importlib
import math
import os
import pathlib
import sys
import time
import types
import unittest.mock
import warnings
import zlib

import numpy

from formula import noise

STEPS, TOTAL, IMAGES, SIDE, GRID, CHANNELS, SAMPLES = (0, 50, 100, 500, 3000), 5000, 3, 56, 4, 384, 16
PREFIX = 5  # class token, registers


class Code:
    """The modules of one checkout; the second one's have the same names."""
    def __init__(self, root):
        for name in list(sys.modules):
            if name.split(".")[0] in ("models", "optimizers", "dinov1", "dinov2", "utils", "dataset"):
                del sys.modules[name]
        for name in ("cv2", "pandas", "tabulate", "skimage", "matplotlib", "matplotlib.pyplot", "adeval", "scipy",
                     "scipy.ndimage", "dataset", "sklearn.cluster"):
            try:
                importlib.import_module(name)
            except ImportError:
                sys.modules[name] = unittest.mock.MagicMock()
        sys.modules["dataset"] = unittest.mock.MagicMock()
        sys.path.insert(0, root)
        try:
            self.uad = importlib.import_module("models.uad")
            self.layers = importlib.import_module("models.vision_transformer")
            self.utils = importlib.import_module("utils")
            self.optimizers = importlib.import_module("optimizers")
            self.dino = importlib.import_module("dinov2.models.vision_transformer")
        finally:
            sys.path.remove(root)


def summary(value):
    flat = value.detach().flatten().double()
    places = [i * (len(flat) - 1) // (SAMPLES - 1) for i in range(SAMPLES)]
    return [float(flat.norm())] + [float(flat[i]) for i in places]


def line(*fields):
    print(",".join(f if isinstance(f, str) else f"{f:.9g}" for f in fields))


def fill(network, prefix=""):
    """Every parameter from its name, in single precision."""
    import torch
    with torch.no_grad():
        for name, value in network.named_parameters():
            v = noise(value.numel(), zlib.crc32((prefix + name).encode()) % 100000)
            if name.endswith(("pos_embed", "cls_token", "register_tokens")):
                v = 0.5 * v
            elif name.endswith("bias"):
                v = 0.1 * v
            elif value.dim() == 1:
                v = 1 + 0.1 * v
            else:
                v = v * (3 / value[0].numel()) ** 0.5
            value.copy_(torch.from_numpy(v.astype(numpy.float32)).reshape(value.shape))


# ---- the authors' programs ----

def make_encoder(code, registers):
    return code.dino.vit_small(patch_size=14, img_size=518, block_chunks=0, init_values=1e-8,
                               num_register_tokens=registers, interpolate_antialias=False,
                               interpolate_offset=0.1)


def make_model(code, version, encoder, dropout):
    from functools import partial
    from torch import nn
    c, layers = CHANNELS, code.layers
    attention = layers.LinearAttention2
    if version == 1:
        bottleneck = [layers.bMlp(c, 4 * c, c, drop=dropout)]
    else:
        attention = partial(attention, eps=1e-8)
        bottleneck = [nn.Sequential(nn.Linear(c, 256), nn.Dropout(p=dropout)),
                      nn.Sequential(nn.Linear(256, 4 * c), nn.GELU(), nn.Dropout(p=dropout),
                                    nn.Linear(4 * c, c), nn.Dropout(p=dropout))]
    decoder = [layers.Block(dim=c, num_heads=c // 64, mlp_ratio=4., qkv_bias=True,
                            norm_layer=partial(nn.LayerNorm, eps=1e-8), attn=attention)
               for _ in range(8)]
    groups = [[0, 1, 2, 3], [4, 5, 6, 7]]
    make = code.uad.ViTill if version == 1 else code.uad.Dinomaly
    return make(encoder=encoder, bottleneck=nn.ModuleList(bottleneck), decoder=nn.ModuleList(decoder),
                target_layers=[2, 3, 4, 5, 6, 7, 8, 9], mask_neighbor_size=0,
                fuse_layer_encoder=groups, fuse_layer_decoder=groups)


def make_optimiser(code, version, model, epsilon=1e-10):
    b, d = model.bottleneck, model.decoder
    groups = [{"params": list(b.parameters()) + list(d.parameters())}]
    if version == 2:
        groups = [{"params": b[0].parameters(), "lr": 2e-4}, {"params": b[1].parameters()},
                  {"params": d.parameters()}]
    return code.optimizers.StableAdamW(groups, lr=2e-3, betas=(0.9, 0.999), weight_decay=1e-4,
                                       amsgrad=version == 1, eps=epsilon)


def make_schedule(code, version, optimiser, total):
    """Sets the optimiser's rates to those of a step."""
    if version == 1:
        scheduler = code.utils.WarmCosineScheduler(optimiser, base_value=2e-3, final_value=2e-4,
                                                   total_iters=total, warmup_iters=100)
    else:
        scheduler = code.utils.WarmupCosineScheduler(optimiser, final_ratio=1., total_epochs=total,
                                                     warmup_epochs=100)

    def set_rates(step):
        scheduler.last_epoch = step
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rates = scheduler.get_lr()
        for group, rate in zip(optimiser.param_groups, rates):
            group["lr"] = float(rate)
        return [float(rate) for rate in rates]
    return set_rates


def finish(code, en, de, side, working):
    from torch.nn import functional
    maps, _ = code.utils.cal_anomaly_maps(en, de, side)
    maps = functional.interpolate(maps, size=working, mode="bilinear", align_corners=False)
    gaussian = code.utils.get_gaussian_kernel(kernel_size=5, sigma=4).to(maps.dtype)
    maps = gaussian(maps)
    flat = maps.flatten(1).sort(dim=1, descending=True)[0]
    return maps[:, 0], flat[:, :int(flat.shape[1] * 0.01)].mean(dim=1)


# ---- golden ----

class Given:
    """In the encoder's place: groups of features that are given, each layer of one alike."""
    num_register_tokens = PREFIX - 1

    def __init__(self):
        self.blocks = [lambda x, i=i: self.groups[int(i >= 6)] for i in range(12)]

    def prepare_tokens(self, x):
        return x


def features(first, kind):
    import torch
    count = (PREFIX + GRID * GRID) * CHANNELS
    groups = [[noise(count, 1000 * (first + i) + 77 * group) for i in range(IMAGES)] for group in (0, 1)]
    return [torch.from_numpy(numpy.stack(g).astype(numpy.float32)).reshape(IMAGES, -1, CHANNELS).to(kind)
            for g in groups]


def images(count):
    import torch
    mean, deviation = numpy.array([.485, .456, .406]), numpy.array([.229, .224, .225])
    out = []
    for which in range(1, count + 1):
        pixels = numpy.floor((noise(SIDE * SIDE * 3, 1000 * which) + 1) * 128) / 255
        out.append(((pixels.reshape(SIDE, SIDE, 3) - mean) / deviation).transpose(2, 0, 1))
    return torch.from_numpy(numpy.stack(out))


def evaluate(code, version, case):
    import torch
    encoder = make_encoder(code, PREFIX - 1)
    fill(encoder)
    model = make_model(code, version, encoder, 0.2)
    fill(model.bottleneck, "bottleneck.")
    fill(model.decoder, "decoder.")
    model = model.double().eval()
    # the code takes single precision for the codes that it enlarges
    seen = {}

    def keep(name):
        return lambda _, __, out: seen.update({name: out[0] if isinstance(out, tuple) else out})
    model.bottleneck[-1].register_forward_hook(keep("bottleneck"))
    model.decoder[0].attn.register_forward_hook(keep("attention"))
    fused, plain = [], model.fuse_feature
    model.fuse_feature = lambda parts: fused.append(plain(parts)) or fused[-1]
    with torch.no_grad():
        given = images(4)
        en, de = model(given)
        maps, scores = finish(code, en, de, SIDE, 256)
    for name, value in zip(("e1", "e2"), fused[1:3]):
        line("encoder", case, name, *summary(value))
    for kind, values in (("wanted", en), ("decoder", de)):
        for name, value in zip(("1", "2"), values):
            line(kind, case, ("e" if kind == "wanted" else "d") + name,
                 *summary(value.flatten(2).permute(0, 2, 1)))
    line("bottleneck", case, "out", *summary(seen["bottleneck"]))
    line("attention", case, "out", *summary(seen["attention"]))
    for i in range(4):
        flat = maps[i].flatten()
        line("map", case, str(i), float(scores[i]), float(flat.abs().max()), *summary(flat)[1:])


def points(code, version, case, kind):
    """The loss alone, on given features of both sides."""
    import torch
    wanted, given = features(50, kind), features(60, kind)
    wanted, given = ([x[:, PREFIX:].permute(0, 2, 1).reshape(IMAGES, CHANNELS, GRID, GRID).contiguous()
                      for x in group] for group in (wanted, given))
    leaves = [(w + g).requires_grad_() for w, g in zip(wanted, given)]

    def gradients(p):
        passed = [x * 1 for x in leaves]
        loss = code.utils.global_cosine_hm_percent(wanted, passed, p=p, factor=0.1)
        return loss, torch.autograd.grad(loss, leaves)
    loss, scaled = gradients(0.9)
    _, free = gradients(0.)
    line("point", case, "loss", float(loss))
    for i in (0, 1):
        ratio = (scaled[i].norm(dim=1) / free[i].norm(dim=1)).flatten()
        line("mask", case, str(i + 1), "".join("01"[int(r < 0.5)] for r in ratio))
        line("point", case, str(i + 1), *summary(scaled[i].flatten(2).permute(0, 2, 1)))


def train(code, version, case, kind):
    import torch
    model = make_model(code, version, Given(), 0.)
    fill(model.bottleneck, "bottleneck.")
    fill(model.decoder, "decoder.")
    model = model.to(kind).train()
    learned = torch.nn.ModuleList([model.bottleneck, model.decoder])
    optimiser = make_optimiser(code, version, model)
    set_rates = make_schedule(code, version, optimiser, TOTAL)
    out = []
    names = [(n, p) for n, p in model.named_parameters()]
    for index, it in enumerate(STEPS):
        set_rates(it)
        model.encoder.groups = features(10 + 3 * index, kind)
        en, de = model(torch.zeros(IMAGES, 1))
        p = min(0.9 * it / 1000, 0.9)
        loss = code.utils.global_cosine_hm_percent(en, de, p=p, factor=0.1)
        optimiser.zero_grad()
        loss.backward()
        out.append((f"loss,{case},{it}", [loss.item()]))
        if index == 0:
            out += [(f"gradient,{case},{n}", summary(p.grad)) for n, p in names
                    if n.startswith(("bottleneck", "decoder.0", "decoder.7"))]
        norm = torch.nn.utils.clip_grad_norm_(learned.parameters(), max_norm=0.1)
        out.append((f"norm,{case},{it}", [float(norm)]))
        optimiser.step()
    return out + [(f"parameter,{case},{n}", summary(p)) for n, p in names]


def spread(exact, single, kind):
    worst = 0
    for (name, wanted), (_, found) in zip(exact, single):
        if name.startswith(kind + ","):
            worst = max(worst, max(abs(a - b) for a, b in zip(wanted, found)) / max(map(abs, wanted)))
    return worst


def step_alone(code, version, case):
    """Gradients that grow from step to step, so that the rate is divided."""
    import torch
    value = torch.nn.Parameter(torch.from_numpy(noise(6, 5)))
    optimiser = code.optimizers.StableAdamW([value], lr=0.1, weight_decay=0.05, eps=1e-10,
                                            amsgrad=version == 1)
    seen, plain = [], optimiser._rms
    optimiser._rms = lambda x: seen.append(float(plain(x))) or plain(x)
    for step in range(20):
        optimiser.param_groups[0]["lr"] = 0.1 * min(step, 5) / 5
        value.grad = torch.from_numpy(noise(6, 100 + step)) * 1.3 ** (step % 7)
        optimiser.step()
        line("optimiser", case, str(step), max(1., seen[-1]), *value.tolist())


def golden(roots):
    import torch
    for version, root in ((1, roots[0]), (2, roots[1])):
        code, case = Code(root), f"v{version}"
        if version == 1:
            table = torch.from_numpy(noise(37 * 37 * 8, 3).astype(numpy.float32)).reshape(1, -1, 8)
            encoder = types.SimpleNamespace(
                pos_embed=torch.cat([torch.zeros(1, 1, 8), table], 1), patch_size=14,
                interpolate_offset=0.1, interpolate_antialias=False)
            found = code.dino.DinoVisionTransformer.interpolate_pos_encoding(
                encoder, torch.zeros(1, 785, 8), 392, 392)
            line("position", "table", "28", *summary(found[:, 1:]))
        evaluate(code, version, case)
        points(code, version, case, torch.float64)
        exact, single = (train(code, version, case, kind) for kind in (torch.float64, torch.float32))
        for name, values in exact:
            print(",".join([name] + [f"{v:.9g}" for v in values]))
        for kind, of in (("loss", "losses"), ("gradient", "gradients"), ("parameter", "parameters")):
            print(f"spread,{case},{of},{spread(exact, single, kind):.9g}")
        model = make_model(code, version, Given(), 0.)
        set_rates = make_schedule(code, version, make_optimiser(code, version, model), TOTAL)
        for step in (0, 1, 99, 100, TOTAL - 1):
            line("schedule", case, str(step), *set_rates(step))
        step_alone(code, version, f"o{version}")


# ---- a training, beside the library ----

def read_options(given):
    wanted = dict(size=224, crop=196, steps=200, batch=8, version=1, total=0, images=0, seed=1, threads=1)
    for one in given:
        name, value = one.split("=")
        wanted[name] = int(value)
    return types.SimpleNamespace(**wanted)


def list_images(folder, o):
    folder = pathlib.Path(folder)
    learned = sorted((folder / "train/good").glob("*.png"))
    tested = sorted((folder / "test").glob("*/*.png"))
    if o.images:
        tested = [path for path in tested if int(path.stem) < o.images]
    return learned, tested


def theirs(root, weights, folder, out, o):
    import torch
    from PIL import Image
    from sklearn.metrics import roc_auc_score
    from torchvision import transforms
    torch.set_num_threads(o.threads)
    code, out = Code(root), pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    encoder = make_encoder(code, 0)
    torch.manual_seed(o.seed)
    if weights.startswith("random:"):
        torch.manual_seed(int(weights[7:]))
        for parameter in encoder.parameters():
            torch.nn.init.trunc_normal_(parameter, std=0.05 if parameter.dim() > 1 else 0.5)
    else:
        encoder.load_state_dict(torch.load(weights), strict=False)
    torch.save({k: v for k, v in encoder.state_dict().items() if k != "mask_token"}, out / "weights.pth")
    model = make_model(code, o.version, encoder, 0.2 if o.version == 1 else 0.4)
    for module in [*model.bottleneck.modules(), *model.decoder.modules()]:
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.trunc_normal_(module.weight, std=0.01, a=-0.03, b=0.03)
            torch.nn.init.zeros_(module.bias)
    # resized in 8 bits, as the code does, then cropped
    prepare = transforms.Compose([
        transforms.Resize((o.size, o.size)), transforms.ToTensor(), transforms.CenterCrop(o.crop),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    learned, tested = list_images(folder, o)
    (out / "folder").write_text(str(folder))
    pictures = torch.stack([prepare(Image.open(p).convert("RGB")) for p in learned])
    kept = {}
    with torch.no_grad():
        x = encoder.prepare_tokens(pictures[:4])
        for i in range(10):
            x = encoder.blocks[i](x)
            kept[f"blocks.{i}"] = x[:, 1:].numpy()
    groups = [numpy.mean([kept[f"blocks.{i}"] for i in g], axis=0) for g in ((2, 3, 4, 5), (6, 7, 8, 9))]
    numpy.savez(out / "encoder.npz", e1=groups[0], e2=groups[1], images=pictures[:4].numpy(), **kept)
    optimiser = make_optimiser(code, o.version, model)
    total = o.total or o.steps
    set_rates = make_schedule(code, o.version, optimiser, total)
    parameters = [*model.bottleneck.parameters(), *model.decoder.parameters()]
    loader = torch.utils.data.DataLoader(pictures, batch_size=o.batch, shuffle=True, drop_last=True)
    it, begin = 0, time.process_time()
    model.train()
    while it < o.steps:
        for batch in loader:
            set_rates(it)
            en, de = model(batch)
            loss = code.utils.global_cosine_hm_percent(en, de, p=min(0.9 * it / 1000, 0.9), factor=0.1)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, max_norm=0.1)
            optimiser.step()
            it += 1
            if it % 20 == 0:
                print(f"step {it}: loss {loss.item():.5f}", flush=True)
            if it == o.steps:
                break
    print(f"{time.process_time() - begin:.0f} s of processor")
    model.eval()
    scores, labels = [], [path.parent.name != "good" for path in tested]
    with torch.no_grad():
        for path in tested:
            en, de = model(prepare(Image.open(path).convert("RGB"))[None])
            scores.append(float(finish(code, en, de, o.crop, 256)[1][0]))
    print(f"their image AUROC: {roc_auc_score(labels, scores):.4f} over {len(scores)} images")
    torch.save(model.state_dict(), out / "model.pth")
    numpy.savez(out / "scores.npz", scores=scores)


def ours(out, o):
    import imiad
    from PIL import Image
    from sklearn.metrics import roc_auc_score
    out = pathlib.Path(out)
    imiad.set_threads(o.threads)
    folder = (out / "folder").read_text()
    backbone = imiad.Backbone("dinov2_vits14", weights=str(out / "weights.pth"))
    kept, worst = numpy.load(out / "encoder.npz"), 0.0
    found = {}
    for i in range(2, 10):
        value = backbone.features(f"blocks.{i}", kept["images"])
        found[i] = value.reshape(*value.shape[:2], -1).transpose(0, 2, 1)
    pairs = [(found[i], kept[f"blocks.{i}"]) for i in found]
    pairs += [(sum(found[i] for i in range(2 + 4 * g, 6 + 4 * g)) / 4, kept[f"e{g + 1}"]) for g in (0, 1)]
    for mine, wanted in pairs:
        worst = max(worst, float(numpy.linalg.norm(mine - wanted) / numpy.linalg.norm(wanted)))
    print(f"largest relative difference of a layer or group of 4 images: {worst:.2g}")
    learned, tested = list_images(folder, o)
    read = lambda path: numpy.asarray(Image.open(path).convert("RGB"))
    steps = 20 if o.steps % 20 == 0 else o.steps
    begin = time.process_time()
    detector = imiad.Detector("dinomaly", backbone, resize=o.size, crop=o.crop, train_batch=o.batch,
                              version=o.version, epochs=o.steps // steps, steps=steps, seed=o.seed,
                              loss_log=str(out / "losses.csv"))
    detector.fit([read(path) for path in learned])
    print((out / "losses.csv").read_text(), f"{time.process_time() - begin:.0f} s of processor")
    labels = [path.parent.name != "good" for path in tested]
    scores = [detector.score(read(path)).score for path in tested]
    print(f"our image AUROC: {roc_auc_score(labels, scores):.4f} over {len(scores)} images")
    taken = imiad.Detector("dinomaly", backbone, resize=o.size, crop=o.crop, version=o.version, epochs=0,
                           initial=str(out / "model.pth"))
    taken.fit([read(learned[0])])
    wanted = numpy.load(out / "scores.npz")["scores"]
    scores = numpy.array([taken.score(read(path)).score for path in tested])
    print(f"of their checkpoint: image AUROC {roc_auc_score(labels, scores):.4f}, largest relative "
          f"difference of a score {abs(scores / wanted - 1).max():.2g}")
    return worst < 1e-4


def main():
    if len(sys.argv) > 3 and sys.argv[1] == "golden":
        golden(sys.argv[2:4])
    elif len(sys.argv) > 5 and sys.argv[1] == "theirs":
        theirs(*sys.argv[2:6], read_options(sys.argv[6:]))
    elif len(sys.argv) > 2 and sys.argv[1] == "ours":
        if not ours(sys.argv[2], read_options(sys.argv[3:])):
            sys.exit(1)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
