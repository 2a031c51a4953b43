#!/usr/bin/env python3
"""The backbones beside the public implementations, and the golden values of tests/nn/test_families.

    tests/golden/make_backbones.py golden DINOV2 > tests/golden/backbones.csv
    tests/golden/make_backbones.py vig BACKBONES >> tests/golden/backbones.csv
    tests/golden/make_backbones.py b6 >> tests/golden/backbones.csv
    tests/golden/make_backbones.py compare DINOV2 BACKBONES build/lib/libimiad.so [NAME...]

DINOV2 is a checkout of facebookresearch/dinov2, BACKBONES one of huawei-noah/Efficient-AI-Backbones
(vig needs no other than torch, numpy and timm 0.6 or 1.0). Weights are a formula of their names and places, so
that both sides have them and no file is committed. golden prints, for a small member of each family,
every named layer's shape, norm and sixteen values, and a digest of the names that each dialect has.
compare writes the public network's state dict as its users would have it, lets the library read it,
and prints the largest relative L2 over all layers, a line a network, the largest networks last, and
PyTorch's own float32 beside it: both from the public network in double. Where one is above 1e-5 a
line more says from which layer on. A network that fails says why in its line. It ends in 1 where one failed or is above 1e-5.
Needs torch, torchvision, timm, numpy, scipy and efficientnet_pytorch (lukemelas's).
"""
import ctypes
import hashlib
import os
import subprocess
import sys
import tempfile
import types
import zlib

import numpy

if sys.argv[1:2] != ["ours"]:  # the library brings a libtorch of its own
    import torch

LIMIT = 1e-5
HEADS = ("classifier", "fc.", "_fc.", "head", "prediction")
DEEP = ("efficientnet_b5", "efficientnet_b6", "efficientnet_b7", "mobilenet_v2")
SAMPLES = 16


# ---- weights and images by formula ----

def uniform(name, count):
    """Murmur3's last step over the places, begun by the name's CRC-32: in [-1, 1)."""
    h = numpy.arange(count, dtype=numpy.uint32) * numpy.uint32(0x9E3779B9)
    h += numpy.uint32(zlib.crc32(name.encode()))
    h ^= h >> numpy.uint32(16)
    h *= numpy.uint32(0x85EBCA6B)
    h ^= h >> numpy.uint32(13)
    h *= numpy.uint32(0xC2B2AE35)
    h ^= h >> numpy.uint32(16)
    return h * 2.0**-31 - 1


def weight(name, shape):
    count = int(numpy.prod(shape))
    u = uniform(name, count)
    if name.endswith("running_var"):
        values = 1 + 0.5 * u
    elif name.endswith("running_mean") or name.endswith("bias"):
        values = 0.1 * u
    elif len(shape) == 1:
        values = 1 + 0.3 * u
    elif len(shape) == 3:
        values = 0.5 * u
    else:
        values = u * (6 * shape[0] / count) ** 0.5
    return values.astype(numpy.float32).reshape(shape)


def fill(network):
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not name.startswith(HEADS):
            value.copy_(torch.from_numpy(weight(name, tuple(value.shape))))
    return network.eval()


def calm(network):
    """Halves what the blocks of a deep network of inverted blocks add. With the formula's weights alone it grows
    from block to block and blows rounding up: PyTorch's own float32 is then as far from its double as this
    library's is, 0.6 % in efficientnet_b5, 1.5e-5 in mobilenet_v2."""
    for name, value in network.state_dict().items():
        if name.endswith((".block.3.1.weight", ".bn3.weight", "._bn2.weight", ".conv.3.weight")):
            value.mul_(0.5)


def images(height, width, count=1):
    return (1.5 * uniform("images", count * 3 * height * width)).astype(numpy.float32).reshape(
        count, 3, height, width)


# ---- the public networks: layers by this library's names ----

def hooked(network, modules, x):
    """Outputs of the modules, by our names; what is changed in place afterwards is copied."""
    out, handles = {}, []
    for ours, theirs in modules.items():
        def keep(module, inputs, value, ours=ours):
            out[ours] = value.detach().clone()
        handles.append(network.get_submodule(theirs).register_forward_hook(keep))
    with torch.no_grad():
        network(torch.from_numpy(x).to(next(network.parameters()).dtype))
    for handle in handles:
        handle.remove()
    return out


def as_maps(out, extra, grid):
    """Tokens as maps, and the class tokens."""
    maps = {}
    for layer, tokens in out.items():
        count, _, channels = tokens.shape
        maps[layer] = tokens[:, extra:].transpose(1, 2).reshape(count, channels, *grid)
        maps[layer + ".cls_token"] = tokens[:, 0].reshape(count, channels, 1, 1)
    return maps


class Convolutional:
    size = (97, 70)

    def __init__(self, name, network):
        self.name, self.network = name, fill(network)

    def state(self):
        return self.network.state_dict()

    def features(self, layers, x):
        return hooked(self.network, {layer: layer for layer in layers}, x)


class TimmSymmetric(Convolutional):
    """This library's names of these layers are torchvision's."""

    def features(self, layers, x):
        modules = {"features.0": "bn1", "features.8": "bn2"}
        for layer in layers:
            _, stage, *block = layer.split(".")
            modules.setdefault(layer, ".".join(["blocks", str(int(stage) - 1), *block]))
        return hooked(self.network, modules, x)


class Lukemelas(Convolutional):
    def features(self, layers, x):
        blocks = [layer for layer in layers if layer.count(".") == 2]
        modules = {layer: f"_blocks.{i}" for i, layer in enumerate(blocks)}
        out = hooked(self.network, {**modules, "bn1": "_bn0", "bn2": "_bn1"}, x)
        for layer in ("bn1", "bn2"):
            out[layer] = torch.nn.functional.silu(out[layer])
        return out


class Vig(Convolutional):
    size = (224, 224)

    def features(self, layers, x):
        out = hooked(self.network, {layer: layer for layer in layers}, x)
        out["stem"] += self.network.pos_embed.detach()
        return out


class Transformer:
    extra = 1

    def __init__(self, name, network, size):
        self.name, self.network, self.size = name, fill(network), size

    def state(self):
        return self.network.state_dict()

    def modules(self, layers):
        return {layer: layer for layer in layers if not layer.endswith("cls_token")}

    def features(self, layers, x):
        patch = 14 if self.name.startswith("dino") else 16
        out = hooked(self.network, self.modules(layers), x)
        return as_maps(out, self.extra, (x.shape[2] // patch, x.shape[3] // patch))


class TorchvisionTransformer(Transformer):
    def modules(self, layers):
        names = {layer: layer.replace("blocks.", "encoder.layers.encoder_layer_")
                 for layer in super().modules(layers)}
        return {**names, "pos_drop": "encoder.dropout", "norm": "encoder.ln"}

    def features(self, layers, x):
        from torchvision.models.vision_transformer import interpolate_embeddings
        state = interpolate_embeddings(x.shape[2], 16, dict(self.state()))
        wide = make_torchvision_transformer(self.name, x.shape[2])
        wide.load_state_dict(state)
        before, self.network = self.network, wide.eval().to(next(self.network.parameters()).dtype)
        out = super().features(layers, x)
        self.network = before
        return out


class Dino(Transformer):
    def features(self, layers, x):
        self.extra = 5 if self.name.endswith("reg") else 1
        layers = [layer for layer in layers if not layer.startswith("pos_drop")]
        out = super().features(layers, x)
        with torch.no_grad():
            tokens = self.network.prepare_tokens_with_masks(
                torch.from_numpy(x).to(self.network.pos_embed.dtype))
        out.update(as_maps({"pos_drop": tokens}, self.extra, (x.shape[2] // 14, x.shape[3] // 14)))
        return out


class TimmDino(Transformer):
    extra = 5


class Google(Transformer):
    """Arrays as Google's files have them, read by timm; codes of other grids as Google's code does."""

    def __init__(self, name, network, size):
        super().__init__(name, network, size)
        import timm.models.vision_transformer as module
        channels, heads = network.embed_dim, network.blocks[0].attn.num_heads
        self.arrays = google_arrays(channels, len(network.blocks), heads)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "weights.npz")
            numpy.savez(path, **self.arrays)
            module._load_weights(network, path)

    def state(self):
        return self.arrays

    def features(self, layers, x):
        from scipy.ndimage import zoom
        grid = (x.shape[2] // 16, x.shape[3] // 16)
        codes = self.arrays["Transformer/posembed_input/pos_embedding"]
        old = codes[0, 1:].reshape(14, 14, -1)
        new = zoom(old, (grid[0] / 14, grid[1] / 14, 1), order=1).reshape(1, -1, old.shape[2])
        plain = self.network.pos_embed
        self.network.set_input_size(img_size=(x.shape[2], x.shape[3]))
        self.network.pos_embed = torch.nn.Parameter(
            torch.from_numpy(numpy.concatenate([codes[:, :1], new], 1)).to(plain.dtype))
        out = super().features(layers, x)
        self.network.set_input_size(img_size=(224, 224))
        self.network.pos_embed = plain
        return out


def google_arrays(channels, depth, heads):
    width, shapes = channels // heads, {}
    shapes["cls"] = (1, 1, channels)
    shapes["embedding/kernel"] = (16, 16, 3, channels)
    shapes["embedding/bias"] = (channels,)
    shapes["Transformer/posembed_input/pos_embedding"] = (1, 197, channels)
    for name in ("Transformer/encoder_norm",):
        shapes[f"{name}/scale"] = shapes[f"{name}/bias"] = (channels,)
    for i in range(depth):
        block = f"Transformer/encoderblock_{i}"
        for name in ("LayerNorm_0", "LayerNorm_2"):
            shapes[f"{block}/{name}/scale"] = shapes[f"{block}/{name}/bias"] = (channels,)
        attention = f"{block}/MultiHeadDotProductAttention_1"
        for name in ("query", "key", "value"):
            shapes[f"{attention}/{name}/kernel"] = (channels, heads, width)
            shapes[f"{attention}/{name}/bias"] = (heads, width)
        shapes[f"{attention}/out/kernel"] = (heads, width, channels)
        shapes[f"{attention}/out/bias"] = (channels,)
        mlp = f"{block}/MlpBlock_3"
        shapes[f"{mlp}/Dense_0/kernel"] = (channels, 4 * channels)
        shapes[f"{mlp}/Dense_0/bias"] = (4 * channels,)
        shapes[f"{mlp}/Dense_1/kernel"] = (4 * channels, channels)
        shapes[f"{mlp}/Dense_1/bias"] = (channels,)
    shapes["head/kernel"], shapes["head/bias"] = (channels, 1000), (1000,)
    arrays = {}
    for name, shape in shapes.items():
        values = uniform(name, int(numpy.prod(shape)))
        if name.endswith("kernel"):
            values *= (6 / (numpy.prod(shape) / shape[-1])) ** 0.5
        elif name.endswith("scale"):
            values = 1 + 0.3 * values
        else:
            values *= 0.5 if len(shape) == 3 else 0.1
        arrays[name] = values.astype(numpy.float32).reshape(shape)
    return arrays


# ---- making them ----

def from_torchvision(name):
    import torchvision
    return Convolutional(name, getattr(torchvision.models, name)(weights=None))


def from_timm(name, theirs=None):
    import timm
    network = timm.create_model(theirs or name, pretrained=False)
    return (TimmSymmetric if name.startswith("efficientnet_b") else Convolutional)(name, network)


def from_lukemelas(name):
    from efficientnet_pytorch import EfficientNet
    network = EfficientNet.from_name("efficientnet-" + name[-2:])
    network.set_swish(memory_efficient=False)
    return Lukemelas(name, network)


def make_torchvision_transformer(name, size):
    import torchvision
    return getattr(torchvision.models, name)(weights=None, image_size=size)


def transformer_from_torchvision(name):
    return TorchvisionTransformer(name, make_torchvision_transformer(name, 224), (160, 160))


def timm_transformer(name, dynamic=True):
    import timm
    theirs = {"vit_b_16": "vit_base_patch16_224", "vit_l_16": "vit_large_patch16_224",
              "dinov2_vits14_reg": "vit_small_patch14_reg4_dinov2",
              "dinov2_vitb14_reg": "vit_base_patch14_reg4_dinov2",
              "dinov2_vitl14_reg": "vit_large_patch14_reg4_dinov2"}[name]
    return timm.create_model(theirs, pretrained=False, dynamic_img_size=dynamic)


def transformer_from_timm(name):
    if name.startswith("dino"):
        return TimmDino(name, timm_transformer(name), (84, 140))
    return Transformer(name, timm_transformer(name), (96, 160))


def transformer_from_google(name):
    return Google(name, timm_transformer(name, False), (96, 160))


def transformer_from_dinov2(name, folder):
    sys.path.insert(0, folder)
    os.environ["XFORMERS_DISABLED"] = "1"
    from dinov2.models import vision_transformer as module
    registered = name.endswith("reg")
    make = {"s": module.vit_small, "b": module.vit_base, "l": module.vit_large}[name[10]]
    network = make(patch_size=14, img_size=518, init_values=1.0, block_chunks=0,
                   num_register_tokens=4 if registered else 0, interpolate_antialias=registered,
                   interpolate_offset=0.0 if registered else 0.1)
    return Dino(name, network, (84, 140))


def vig_from_huawei(name, folder):
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import contextlib
    with contextlib.redirect_stdout(sys.stderr):
        import vig
        return Vig(name, getattr(vig, name)())


def everything(dinov2, backbones):
    """Title of the source, our name, and what makes the network."""
    for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2",
                 "wide_resnet101_2", "resnext50_32x4d"):
        yield "torchvision", name, from_torchvision
    for depth in (11, 13, 16, 19):
        for end in ("", "_bn"):
            yield "torchvision", f"vgg{depth}{end}", from_torchvision
    for i in range(8):
        yield "torchvision", f"efficientnet_b{i}", from_torchvision
    for i in range(6):
        yield "timm", f"efficientnet_b{i}", from_timm
    for i in range(8):
        yield "timm", f"tf_efficientnet_b{i}", from_timm
        yield "lukemelas", f"tf_efficientnet_b{i}", from_lukemelas
    yield "timm", "efficientnet_lite0", lambda name: from_timm(name, "tf_efficientnet_lite0")
    for name in ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "densenet121"):
        yield "torchvision", name, from_torchvision
    for name in ("vit_b_16", "vit_l_16"):
        yield "torchvision", name, transformer_from_torchvision
        yield "timm", name, transformer_from_timm
        yield "google", name, transformer_from_google
    for size in "sbl":
        for end in ("", "_reg"):
            yield ("facebookresearch", f"dinov2_vit{size}14{end}",
                   lambda name: transformer_from_dinov2(name, dinov2))
        yield "timm", f"dinov2_vit{size}14_reg", transformer_from_timm
    for size in ("ti", "s", "b"):
        yield ("huawei-noah", f"vig_{size}_224_gelu",
               lambda name: vig_from_huawei(name, backbones + "/vig_pytorch"))


# ---- this library ----

class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("weights", ctypes.c_char_p),
                ("seed", ctypes.c_uint64), ("device", ctypes.c_char_p),
                ("precision", ctypes.c_char_p), ("mean", ctypes.c_float * 3),
                ("deviation", ctypes.c_float * 3)]


class Layer(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("name", ctypes.c_char * 64),
                ("channels", ctypes.c_int64), ("stride", ctypes.c_int32),
                ("loaded", ctypes.c_int32)]


class Library:
    def __init__(self, path):
        self.c = ctypes.CDLL(path)
        self.c.imiad_last_error.restype = ctypes.c_char_p
        self.c.imiad_backbone_dialect.restype = ctypes.c_char_p
        self.c.imiad_backbone_layer_count.restype = ctypes.c_size_t

    def check(self, status):
        if status != 0:
            sys.exit(self.c.imiad_last_error().decode())

    def open(self, architecture, weights):
        backbone = ctypes.c_void_p()
        options = Options(ctypes.sizeof(Options), weights.encode())
        self.check(self.c.imiad_backbone_create(ctypes.byref(backbone), architecture.encode(),
                                                ctypes.byref(options)))
        return backbone

    def layers(self, backbone):
        names = []
        for i in range(self.c.imiad_backbone_layer_count(backbone)):
            layer = Layer(ctypes.sizeof(Layer))
            self.check(self.c.imiad_backbone_layer_info(ctypes.byref(layer), backbone,
                                                        ctypes.c_size_t(i)))
            names.append(layer.name.decode())
        return names

    def features(self, backbone, layer, x):
        n, _, height, width = x.shape
        shape = (ctypes.c_int64 * 3)()
        self.check(self.c.imiad_backbone_shape(shape, backbone, layer.encode(), height, width))
        values = numpy.empty((n, *shape), numpy.float32)
        self.check(self.c.imiad_backbone_features(
            ctypes.c_void_p(values.ctypes.data), ctypes.c_size_t(values.size), backbone,
            layer.encode(), ctypes.c_void_p(x.ctypes.data), ctypes.c_int64(n), height, width))
        return values


def save(source, folder):
    state = source.state()
    if isinstance(next(iter(state.values())), numpy.ndarray):
        path = os.path.join(folder, "weights.npz")
        numpy.savez(path, **state)
    else:
        path = os.path.join(folder, "weights.pth")
        torch.save(state, path)
    return path


def ours(path, architecture, weights, height, width, out):
    """In a process without PyTorch: every layer's features of the images, into a file."""
    library = Library(path)
    backbone = library.open(architecture, weights)
    x = images(int(height), int(width))
    features = {layer: library.features(backbone, layer, x) for layer in library.layers(backbone)}
    numpy.savez(out, dialect=library.c.imiad_backbone_dialect(backbone).decode(), **features)


def relative_errors(found, wanted):
    """Relative L2 of each layer, in the order of the network."""
    errors = {}
    for layer in wanted:
        assert found[layer].shape == wanted[layer].shape, (layer, found[layer].shape, wanted[layer].shape)
        errors[layer] = numpy.linalg.norm(found[layer] - wanted[layer]) / numpy.linalg.norm(wanted[layer])
    return errors


def largest(errors):
    layer = max(errors, key=errors.get)
    return f"{errors[layer]:.1e} ({layer})"


def compare_one(path, title, source):
    height, width = source.size
    if source.name.endswith(DEEP):
        calm(source.network)
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "features.npz")
        subprocess.run([sys.executable, __file__, "ours", path, source.name, save(source, folder),
                        str(height), str(width), out], check=True)
        found = dict(numpy.load(out))
    dialect = found.pop("dialect")
    x = images(height, width)
    single = {layer: value.numpy() for layer, value in source.features(list(found), x).items()}
    source.network.double()  # so that all rounding is the library's, or PyTorch's float32's
    wanted = {layer: value.numpy().astype(numpy.float64) for layer, value in source.features(list(found), x).items()}
    ours, theirs = relative_errors(found, wanted), relative_errors(single, wanted)
    worst = max(ours.values())
    print(f"| {source.name} | {title} | {dialect} | {height} x {width} | {len(wanted)} | {largest(ours)} | "
          f"{largest(theirs)} |", flush=True)
    above = [layer for layer in ours if not (ours[layer] <= LIMIT and theirs[layer] <= LIMIT)]
    if above:  # what comes before the first of them in the network is close
        order = list(ours)
        before = order[:order.index(above[0])]
        print(f"{source.name} beside {title}: before {above[0]}: {largest({n: ours[n] for n in before})}, PyTorch's "
              f"float32 {largest({n: theirs[n] for n in before})}; from there on: {largest(ours)}, {largest(theirs)}",
              flush=True)
    return worst


def compare(dinov2, backbones, path, *names):
    worst = 0.0
    import timm
    import torchvision
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, timm "
          f"{timm.__version__}\n")
    print("| backbone | beside | names | pixels | layers | largest relative L2 (layer) | PyTorch's float32 (layer) |")
    print("|---|---|---|---|---|---|---|", flush=True)
    wanted = [one for one in everything(dinov2, backbones) if not names or one[1] in names]
    for title, name, make in sorted(wanted, key=lambda one: "vit_l" in one[1] or "vitl" in one[1]):
        try:
            worst = max(worst, compare_one(path, title, make(name)))
        except (AssertionError, AttributeError, KeyError, RuntimeError,
                subprocess.CalledProcessError) as reason:
            print(f"| {name} | {title} | | | | fails: {reason} | |", flush=True)
            worst = numpy.inf
    print(f"\nlargest of all {worst:.1e}")
    sys.exit(not worst <= LIMIT)


# ---- golden values ----

SMALL = {"vgg11": None, "vgg11_bn": None, "efficientnet_b0": None, "tf_efficientnet_b0": None,
         "efficientnet_lite0": None, "mobilenet_v2": None, "mobilenet_v3_small": None,
         "densenet121": None, "resnext50_32x4d": None, "vit_b_16": 2, "dinov2_vits14": None,
         "dinov2_vits14_reg": None}
OWN = {"efficientnet_b0": "torchvision", "dinov2_vits14_reg": "facebookresearch",
       "tf_efficientnet_b0": "timm", "vit_b_16": "timm"}


def layers_of(source, depth):
    """Modules in this library's names, the blocks only as far as `depth`; None: all."""
    named = [name for name, _ in source.network.named_modules()]
    if isinstance(source, Transformer):
        blocks = [f"blocks.{i}" for i in range(depth or len(source.network.blocks))]
        return ["pos_drop", *blocks, *([] if depth else ["norm"])]
    if source.name.startswith(("tf_", "efficientnet_lite")):
        return ["bn1", *[n for n in named if n.startswith("blocks.") and n.count(".") <= 2], "bn2"]
    if source.name.startswith("densenet"):
        return ["features." + n for n, _ in source.network.features.named_children()
                if n != "conv0"]
    if source.name.startswith("res"):
        return ["relu", "maxpool", *[n for n in named if n.startswith("layer") and
                                     n.count(".") == 1], "layer4"]
    if source.name.startswith("vgg"):
        convolutions = [n for n, m in source.network.named_modules()
                        if isinstance(m, torch.nn.Conv2d)]
        return [n for n in named if n.startswith("features.") and
                not (source.name.endswith("_bn") and n in convolutions)]
    return [n for n in named if n.startswith("features.") and
            n.count(".") <= (2 if source.name.startswith("eff") else 1) and
            (n.count(".") == 1 or n.split(".")[1] not in ("0", "8"))]


def print_layers(source, depth):
    height, width = (70, 56) if source.name.startswith("dino") else \
        (48, 80) if source.name.startswith("vit") else (61, 46)
    out = source.features(layers_of(source, depth), images(height, width))
    for layer, value in out.items():
        print_layer(source.name, layer, height, width, value)


def print_layer(name, layer, height, width, value):
    flat = value[0].double().flatten()
    places = [i * (len(flat) - 1) // (SAMPLES - 1) for i in range(SAMPLES)]
    print(",".join(["layer", name, layer, str(height), str(width),
                    *map(str, value.shape[1:]), f"{float(flat.norm()):.9g}",
                    *(f"{float(flat[i]):.6g}" for i in places)]))


def print_names(title, name, names):
    """A digest of the sorted names, each with a newline; heads and counters left out."""
    used = sorted(n for n in names if not n.endswith("num_batches_tracked") and not
                  n.startswith((*HEADS, "mask_token")))
    digest = hashlib.sha256("".join(n + "\n" for n in used).encode()).hexdigest()
    print(f"names,{name},{title},{len(used)},{digest}")


def golden_b6():
    """The three levels that BGAD takes, of an image of its size."""
    source = from_timm("tf_efficientnet_b6")
    calm(source.network)
    source.network.double()
    for layer, value in source.features(["blocks.1", "blocks.2", "blocks.4"], images(256, 256)).items():
        print_layer(source.name, layer, 256, 256, value)


def golden(dinov2):
    done = set()
    for title, name, make in everything(dinov2, None):
        if name not in SMALL:
            continue
        source = make(name)
        print_names(title, name, source.state())
        if name not in done and title == OWN.get(name, title):
            print_layers(source, SMALL[name])
            done.add(name)


def golden_vig(backbones):
    """The stem and the five blocks that GraphCore sees, and all names."""
    import unittest.mock
    for part in ("", ".transforms", ".transforms.functional", ".ops", ".ops.misc", ".models",
                 ".models.feature_extraction", ".datasets"):  # timm imports it, and does not use it here
        sys.modules["torchvision" + part] = unittest.mock.MagicMock()
    sys.path.insert(0, backbones + "/vig_pytorch")
    import contextlib
    with contextlib.redirect_stdout(sys.stderr):
        import vig
        source = Convolutional("vig_ti_224_gelu", vig.vig_ti_224_gelu())
    print_names("huawei-noah", source.name, source.state())
    out = hooked(source.network, {f"backbone.{i}": f"backbone.{i}" for i in range(5)}, images(224, 224))
    with torch.no_grad():
        stem = source.network.stem(torch.from_numpy(images(224, 224))) + source.network.pos_embed
    for layer, value in {"stem": stem, **out}.items():
        print_layer(source.name, layer, 224, 224, value)


if __name__ == "__main__":
    modes = {"golden": golden, "vig": golden_vig, "b6": golden_b6, "compare": compare}
    if sys.argv[1:2] == ["ours"]:
        sys.exit(ours(*sys.argv[2:]))
    if len(sys.argv) < (2 if sys.argv[1:] == ["b6"] else 3) or sys.argv[1] not in modes:
        sys.exit(__doc__)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    sys.modules.setdefault("cv2", types.ModuleType("cv2"))
    modes[sys.argv[1]](*sys.argv[2:])
