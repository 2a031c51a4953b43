#!/usr/bin/env python3
"""The authors' BGAD, trained from libimiad's first parameters on its patches.

    tests/golden/make_bgad.py golden BGAD FREIA > tests/golden/bgad.csv
    tests/golden/make_bgad.py train BGAD FREIA SHARED META_EPOCHS SUB_EPOCHS SIZE PATCHES BLOCKS CODE
        [SEED [RATE [BATCH]]]

BGAD is a checkout of github.com/xcyao00/BGAD, FREIA one of github.com/vislearn/FrEIA at the commit
4e0c6ab that it pins. Position codes; their losses of log-likelihoods that a formula gives, with the
gradients; the learning rates of 25 meta epochs; maps of log-likelihoods that a formula gives; the log-
likelihoods of a flow, and ten image batches of their train_meta_epoch (one meta epoch of normal images,
then mixed ones) on procedural features at two levels: the mean losses and the parameters after them. All
in double precision but the codes and rates. Their 4096 patches a step are 128 here, and gradients are
None where a flow takes no part, as PyTorch does since 2.0.
train: their train_meta_epoch and validate on the transistor images, on layer1 and layer2 of ResNet-18 with the
weights of SHARED, with the ten labelled defects that the library draws, none of them pasted; then AUROC and AP
of images and pixels, and AUPRO. RATE is the learning rate, BATCH the images of a step. IMIAD_DOUBLE=1 takes
double precision.
The first parameters, rotations and the orders of images and patches are libimiad's random streams.
Needs torch, numpy and SciPy; a training torchvision, Pillow and scikit-learn too.
"""
import glob
import os
import sys
import types

import numpy
import torch

from make_devnet import judge
from make_fastflow import Extractor, begin_block, load_freia
from make_stpm import (line, load_images, missing_modules, procedural, run_mode, sample, shuffled, stream,
                       training_names)

SEED, LEVELS, BLOCKS, CODE, PATCHES, IMAGES = 0, 2, 2, 8, 128, 2
SHAPES = [(64, 16), (128, 8)]


# ---- libimiad's first parameters ----

def rotation(purpose, n, seed=SEED):
    """SciPy's special_ortho_group on libimiad's normal numbers."""
    u = (stream(seed, purpose, n * (n + 2)) >> numpy.uint64(11)).astype(numpy.float64) * 2.0**-53
    normals = numpy.sqrt(-2 * numpy.log(1 - u[0::2])) * numpy.cos(6.283185307179586 * u[1::2])
    h, signs, used = numpy.eye(n), numpy.empty(n), 0
    for k in range(n - 1):
        x = normals[used:used + n - k].copy()
        used += n - k
        square, first = x @ x, x[0]
        signs[k] = -1 if first < 0 else 1
        x[0] += signs[k] * numpy.sqrt(square)
        x /= numpy.sqrt((square - first**2 + x[0]**2) / 2)
        h[:, k:] -= numpy.outer(h[:, k:] @ x, x)
    signs[-1] = (-1) ** (n - 1) * signs[:-1].prod()
    return torch.from_numpy((signs * h.T).T.astype(numpy.float32))


def make_flows(model, arguments):
    flows = [model.load_flow_model(arguments, channels) for channels, _ in SHAPES]
    for level, flow in enumerate(flows):
        for k, block in enumerate(flow.module_list):
            name = f"bgad/level{level}.module_list.{k}"
            shuffle, block.w_perm.data = block.w_perm.data, torch.arange(block.in_channels)
            begin_block(block, name, SEED)
            block.w_perm.data = rotation(f"{name}.w_perm", block.in_channels)
            assert block.w_perm.shape == shuffle.shape
    return [flow.double() for flow in flows]


# ---- the implementation ----

def load_official(folder, freia):
    load_freia(freia)
    sys.path.insert(0, freia)
    missing_modules("matplotlib", "matplotlib.pyplot", "cv2")
    for name in ("timm", "datasets", "tqdm", "utils.visualizer", "skimage", "skimage.measure"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["tqdm"].tqdm = lambda x: x
    sys.modules["datasets"].create_fas_data_loader = None
    for name in ("denormalization", "export_groundtruth", "export_hist", "export_scores",
                 "export_test_images", "plot_visualizing_results"):
        setattr(sys.modules["utils.visualizer"], name, None)
    sys.modules["skimage.measure"].label = sys.modules["skimage.measure"].regionprops = None
    sys.path.insert(0, folder)
    import losses
    import models
    import utils.model_utils
    import utils.utils
    models.fc_flow.print = utils.utils.print = lambda *words: None
    engine = types.ModuleType("engine")
    with open(f"{folder}/engines/bgad_fas_train_engine.py") as file:
        source = file.read().replace("N_batch = 4096", f"N_batch = {PATCHES}")
    exec(compile(source, "engine", "exec"), engine.__dict__)
    return types.SimpleNamespace(losses=losses, models=models, engine=engine, utils=utils)


def make_arguments(official, meta_epochs=25, sub_epochs=8, rate=2e-4):
    arguments = types.SimpleNamespace(
        flow_arch="conditional_flow_model", coupling_layers=BLOCKS, clamp_alpha=1.9,
        pos_embed_dim=CODE, pos_beta=0.01, margin_tau=0.1, normalizer=10, bgspp_lambda=1,
        focal_weighting=True, lr=rate, lr_decay_epochs=[50, 75, 90], lr_decay_rate=0.1,
        lr_warm=True, lr_warm_epochs=2, lr_cosine=True, meta_epochs=meta_epochs,
        sub_epochs=sub_epochs, feature_levels=LEVELS, device="cpu", img_size=(16, 16))
    official.utils.utils.setting_lr_parameters(arguments)
    return arguments


# ---- golden values ----

def print_sample(kind, case, name, values):
    places, norm = sample(values)
    line(kind, case, name, norm, *places)


def contrast(official, likelihoods, mask, focal):
    """What their train_meta_epoch makes of a batch after the first meta epoch."""
    losses, log_theta = official.losses, torch.nn.LogSigmoid()
    fixed = likelihoods.detach()
    weights = torch.ones_like(fixed)
    if focal:
        weights[mask == 0] = losses.normal_fl_weighting(fixed[mask == 0])
        weights[mask == 1] = losses.abnormal_fl_weighting(fixed[mask == 1])
    loss = (-log_theta(likelihoods[mask == 0]) * weights[mask == 0]).mean()
    if mask.sum() > 0:
        boundaries = losses.get_logp_boundary(likelihoods, mask, 0.05, 0.1, 10)
        normal, defective = losses.calculate_bg_spp_loss(likelihoods, mask, boundaries, 10,
                                                         weights if focal else None)
        loss = loss + normal + (0 if defective.isnan() else defective)
    return loss


def print_losses(official):
    places = torch.arange(200)
    masks = {"none": torch.zeros(200), "mixed": (places % 7 == 3).double(),
             "below": (places % 50 == 3).double()}
    for case, mask in masks.items():
        for focal in (False, True):
            values = (4 * procedural((200,), 0) - 7).round(decimals=1 if case == "mixed" else 8)
            values[mask == 1] -= 40 if case == "below" else 0
            values.requires_grad_(True)
            loss = contrast(official, values, mask, focal)
            loss.backward()
            line("loss", "losses", f"{case}.{int(focal)}", float(loss))
            print_sample("gradient", "losses", f"{case}.{int(focal)}", values.grad)


def print_rates(official):
    arguments = make_arguments(official)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    for epoch in range(25):
        official.utils.model_utils.adjust_learning_rate(arguments, optimizer, epoch)
        # the third batch of the fourth pass, with their count of two batches a pass
        rate = official.utils.model_utils.warmup_learning_rate(arguments, epoch, 2 + 3 * 2, 16,
                                                               optimizer)
        line("rate", "rates", epoch, float(rate))


def print_maps(official):
    arguments = make_arguments(official)
    likelihoods = [[procedural((3, 8 >> i, 8 >> i), i) - 3] for i in range(LEVELS)]
    print_sample("map", "maps", "scores", torch.from_numpy(
        official.utils.utils.convert_to_anomaly_scores(arguments, likelihoods)))


def batches_of(meta_epoch):
    """Two batches: features' phases, labels, masks of a corner of defective images."""
    out = []
    for i in range(2):
        labels = [0, int(meta_epoch > 0 and i == 0)]
        mask = torch.zeros(IMAGES, 1, 64, 64, dtype=torch.float64)
        if labels[1]:
            mask[1, 0, :24, :24] = 1
        image = torch.tensor(2 * meta_epoch + i)
        out.append((image, labels, mask))
    return out


def golden(folder, freia):
    official = load_official(folder, freia)
    for side in (4, 16):
        print_sample("code", "codes", side,
                     official.models.positionalencoding2d(128, side, side).permute(1, 2, 0))
    print_losses(official)
    print_rates(official)
    print_maps(official)

    arguments = make_arguments(official, 5, 1)
    flows = make_flows(official.models, arguments)
    features = lambda phase: [procedural((IMAGES, c, side, side), int(phase) + level) - 1
                              for level, (c, side) in enumerate(SHAPES)]
    with torch.no_grad():
        for level, (channels, side) in enumerate(SHAPES):
            rows = features(0)[level].permute(0, 2, 3, 1).reshape(-1, channels)
            code = official.models.positionalencoding2d(CODE, side, side)
            code = code.permute(1, 2, 0).reshape(-1, CODE).repeat(IMAGES, 1)
            z, determinant = flows[level](rows, [code])
            likelihood = official.utils.utils.get_logp(channels, z, determinant) / channels
            print_sample("likelihood", "flows", level, likelihood)

    parameters = [p for flow in flows for p in flow.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=arguments.lr)
    zero = optimizer.zero_grad
    optimizer.zero_grad = lambda: zero(set_to_none=True)
    asked, index = 0, 0

    def randperm(count):
        nonlocal asked, index
        turn, index = asked % LEVELS, asked // LEVELS
        asked += 1
        return torch.tensor(shuffled(SEED, f"bgad/patches/{turn}/{index}", count))
    torch.randperm = randperm
    inner, found = torch.Tensor.backward, []

    def backward(self, *arguments_, **options):
        found.append((asked, float(self)))
        return inner(self, *arguments_, **options)
    torch.Tensor.backward = backward
    for epoch in range(5):
        normal = [(image, labels, mask, None, None) for image, labels, mask in batches_of(epoch)]
        official.engine.train_meta_epoch(arguments, epoch, [normal, batches_of(epoch)],
                                         lambda image: features(image), flows, optimizer)
    for turn in range(asked):
        values = [value for number, value in found if number == turn + 1]
        line("loss", "steps", turn, sum(values) / len(values))
    for level, flow in enumerate(flows):
        for name, value in flow.named_parameters():
            if "w_perm" not in name:
                print_sample("parameter", "steps", f"level{level}.{name}", value)


# ---- a whole training ----

def load_mask(path, size):
    from PIL import Image
    kind, file = path.split("/")[-2:]
    mask = numpy.zeros((size, size), bool)
    if kind != "good":
        drawn = Image.open(f"{path.split('/test/')[0]}/ground_truth/{kind}/{file[:-4]}_mask.png").convert("L")
        mask = numpy.array(drawn.resize((size, size), Image.BILINEAR)) >= 128
    return torch.from_numpy(mask[None]).float()


class MixedEpochs:
    """Every normal image once and every labelled defect ten times, in libimiad's order; an incomplete step is
    left out. While only normal images count, the others of a step are, and a step without any."""
    def __init__(self, normal, defective, seed, type, batch=32, repeats=10):
        self.normal, self.batch, self.epoch, self.seed, self.type = normal, batch, 0, seed, type
        self.items = normal + [item for item in defective for _ in range(repeats)]
        self.normals_only, self.step = True, -1

    def __len__(self):
        return 2  # what their warming up counts

    def __iter__(self):
        order = shuffled(self.seed, f"bgad/draw/{self.epoch}", len(self.items))
        self.epoch += 1
        for i in range(0, len(order) - self.batch + 1, self.batch):
            self.step += 1
            chosen = [j for j in order[i:i + self.batch]
                      if not self.normals_only or j < len(self.normal)]
            if not chosen:
                continue
            image = torch.stack([self.items[j][0] for j in chosen]).to(self.type)
            mask = torch.stack([self.items[j][1] for j in chosen]).to(self.type)
            yield (image, None, mask, None, None) if self.normals_only else (image, None, mask)


def train(folder, freia, shared, meta_epochs, sub_epochs, size, patches, blocks, code, seed=0, rate="0.0002",
          batch=32):
    global PATCHES, SHAPES, BLOCKS, CODE, SEED
    PATCHES, BLOCKS, CODE, SEED = patches, blocks, code, seed
    SHAPES = [(64, size // 4), (128, size // 8)]
    type = torch.float64 if os.environ.get("IMIAD_DOUBLE") else torch.float32
    sys.path.insert(0, f"{os.path.dirname(os.path.abspath(__file__))}/../bench")
    from metrics_reference import aupro
    official = load_official(folder, freia)
    judged, numpy.bool = [], bool

    def roc_auc(labels, scores):
        judged.append((scores, labels))
        return judge(scores, labels)[0]
    official.engine.roc_auc_score = roc_auc
    arguments = make_arguments(official, meta_epochs, sub_epochs, float(rate))
    arguments.img_size, arguments.vis, arguments.pro, arguments.class_name = (size, size), False, False, ""
    flows = [flow.to(type) for flow in make_flows(official.models, arguments)]
    root = f"{shared}/data/mvtec_ad/transistor"
    pool = sorted(path for path in glob.glob(f"{root}/test/*/*.png") if "/good/" not in path)
    order = shuffled(seed, "split/supervised/mvtec_ad/transistor", len(pool))
    drawn = [pool[i] for i in order[:10]]

    def load(paths):
        return [(image, load_mask(path, size)) for image, path in zip(load_images(paths, size), paths)]
    batches = MixedEpochs(load(training_names(shared)), load(drawn), seed, type, batch)
    extractor = Extractor(shared).eval().to(type)
    optimizer = torch.optim.Adam([p for flow in flows for p in flow.parameters()], lr=arguments.lr)
    zero = optimizer.zero_grad
    optimizer.zero_grad = lambda: zero(set_to_none=True)
    asked, randperm = 0, torch.randperm

    def permutation(count):
        nonlocal asked
        turn = asked % LEVELS
        asked += 1
        return torch.tensor(shuffled(seed, f"bgad/patches/{turn}/{batches.step}", count))
    torch.randperm = permutation
    for epoch in range(meta_epochs):
        batches.normals_only = epoch == 0
        official.engine.train_meta_epoch(arguments, epoch, [batches, batches],
                                         lambda image: extractor(image)[:LEVELS], flows, optimizer)
    torch.randperm = randperm
    tested = sorted(path for path in glob.glob(f"{root}/test/*/*.png") if path not in drawn)
    loaded = [(image[None].to(type), torch.tensor(["/good/" not in path]), mask[None], [""], [""])
              for (image, mask), path in zip(load(tested), tested)]
    official.engine.validate(arguments, 0, loaded, lambda image: extractor(image)[:LEVELS], flows)
    (image_auroc, image_ap), (pixel_auroc, pixel_ap) = (judge(*pair) for pair in judged)
    maps, masks = (values.reshape(-1, size, size) for values in judged[1])
    print(f"seed {seed}: image AUROC {image_auroc:.4f}, AP {image_ap:.4f}, pixel AUROC {pixel_auroc:.4f}, "
          f"AP {pixel_ap:.4f}, AUPRO {aupro(maps, masks, 0.3):.4f}")


if __name__ == "__main__":
    run_mode({"golden": golden, "train": train}, 3, __doc__)
