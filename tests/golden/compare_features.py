#!/usr/bin/env python3
"""Features of this library beside torchvision's, over whole tensors: relative L2, layer by layer.

    tests/golden/compare_features.py build/lib/libimiad.so [WEIGHTS.safetensors IMAGE...]

Without a weight file: every architecture with random torchvision weights and random batch norm
statistics, written as .pth and read back by the library, on random inputs. With one: ResNet-18 with
the file's weights on the images (Resize 256, CenterCrop 224, ImageNet normalisation), for the
layers that the file has. Ends in 1 where a figure is above 1e-5.
Needs torch and torchvision (Debian: python3-torch, python3-torchvision).
"""
import ctypes
import json
import os
import struct
import sys
import tempfile

import numpy
import torch
import torchvision

LIMIT = 1e-5
LAYERS = ("layer1", "layer2", "layer3", "layer4")
TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16,
         "BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32, "U8": torch.uint8,
         "BOOL": torch.bool}


class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("weights", ctypes.c_char_p),
                ("seed", ctypes.c_uint64), ("device", ctypes.c_char_p),
                ("precision", ctypes.c_char_p)]


class Library:
    def __init__(self, path):
        self.c = ctypes.CDLL(path)
        self.c.imiad_last_error.restype = ctypes.c_char_p

    def check(self, status):
        if status != 0:
            sys.exit(self.c.imiad_last_error().decode())

    def features(self, architecture, weights, layers, images):
        options = Options(ctypes.sizeof(Options), weights.encode(), 0, None, None)
        backbone = ctypes.c_void_p()
        self.check(self.c.imiad_backbone_create(ctypes.byref(backbone), architecture.encode(),
                                                ctypes.byref(options)))
        images = numpy.ascontiguousarray(images, numpy.float32)
        n, _, height, width = images.shape
        out = {}
        for layer in layers:
            shape = (ctypes.c_int64 * 3)()
            self.check(self.c.imiad_backbone_shape(shape, backbone, layer.encode(), height, width))
            values = numpy.empty((n, *shape), numpy.float32)
            self.check(self.c.imiad_backbone_features(
                ctypes.c_void_p(values.ctypes.data), ctypes.c_size_t(values.size), backbone,
                layer.encode(), ctypes.c_void_p(images.ctypes.data), ctypes.c_int64(n), height,
                width))
            out[layer] = values
        self.c.imiad_backbone_free(backbone)
        return out


def torchvision_features(network, layers, images):
    out, handles = {}, []
    for layer in layers:
        keep = lambda module, inputs, value, layer=layer: out.__setitem__(layer, value.numpy())
        handles.append(getattr(network, layer).register_forward_hook(keep))
    with torch.no_grad():
        network.eval()(torch.from_numpy(images))
    for handle in handles:
        handle.remove()
    return out


def compare(title, ours, theirs):
    worst = 0
    for layer in theirs:
        a, b = ours[layer].astype(numpy.float64), theirs[layer].astype(numpy.float64)
        error = numpy.linalg.norm(a - b) / numpy.linalg.norm(b)
        worst = max(worst, error)
        print(f"{title:18} {layer:8} {str(b.shape):22} relative L2 {error:.2e}")
    return worst


def read_safetensors(path):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: torch.frombuffer(bytearray(data[slice(*entry["data_offsets"])]),
                                   dtype=TYPES[entry["dtype"]]).reshape(entry["shape"])
            for name, entry in header.items()}


def compare_file(library, weights, paths):
    from PIL import Image
    from torchvision import transforms
    prepare = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    images = torch.stack([prepare(Image.open(path).convert("RGB")) for path in paths]).numpy()
    network = torchvision.models.resnet18()
    missing = network.load_state_dict(read_safetensors(weights), strict=False)
    assert not missing.unexpected_keys, missing.unexpected_keys
    lacking = {key.split(".")[0] for key in missing.missing_keys}
    layers = [layer for layer in LAYERS if layer not in lacking]
    return compare("resnet18, file", library.features("resnet18", weights, layers, images),
                   torchvision_features(network, layers, images))


def compare_random(library, architecture, folder):
    network = getattr(torchvision.models, architecture)()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    path = os.path.join(folder, architecture + ".pth")
    torch.save(network.state_dict(), path)
    images = torch.randn(2, 3, 224, 224).numpy()
    return compare(architecture, library.features(architecture, path, LAYERS, images),
                   torchvision_features(network, LAYERS, images))


def main():
    if len(sys.argv) < 2 or len(sys.argv) == 3:
        sys.exit(__doc__)
    torch.manual_seed(0)
    library = Library(sys.argv[1])
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
    if len(sys.argv) > 3:
        worst = compare_file(library, sys.argv[2], sys.argv[3:])
    else:
        with tempfile.TemporaryDirectory() as folder:
            worst = max(compare_random(library, name, folder) for name in
                        ("resnet18", "resnet34", "resnet50", "resnet101", "wide_resnet50_2"))
    print(f"largest relative L2 {worst:.2e}")
    sys.exit(worst > LIMIT)


if __name__ == "__main__":
    main()
