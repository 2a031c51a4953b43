"""A large weight file is not held twice while it is loaded."""
import json
import math
import struct
import subprocess
import sys

import numpy
import pytest

BLOCKS = 5  # of the network's twelve: layers that a file lacks are not missed until they are used

LOAD = """
import re, sys
import imiad

def memory(field):
    return int(re.search(field + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

imiad.Backbone("resnet18")                 # what any backbone takes beside its weights
before = memory("VmRSS")
imiad.Backbone(sys.argv[1], sys.argv[2])
print(memory("VmHWM") - before)
"""


def write_zeros(path, width, blocks, ahead):
    """A vision transformer's safetensors, as sparse as a file can be, whose weights begin at a multiple of
    8 and so many bytes. Returns the bytes of weights."""
    shapes = {"cls_token": (1, 1, width), "pos_embed": (1, 197, width), "norm.weight": (width,),
              "norm.bias": (width,), "patch_embed.proj.weight": (width, 3, 16, 16),
              "patch_embed.proj.bias": (width,)}
    for i in range(blocks):
        for name in ("norm1", "norm2"):
            shapes |= {f"blocks.{i}.{name}.{kind}": (width,) for kind in ("weight", "bias")}
        for name, out, inputs in (("attn.qkv", 3, 1), ("attn.proj", 1, 1), ("mlp.fc1", 4, 1), ("mlp.fc2", 1, 4)):
            shapes[f"blocks.{i}.{name}.weight"] = (out * width, inputs * width)
            shapes[f"blocks.{i}.{name}.bias"] = (out * width,)
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * ((ahead - len(text)) % 8)  # 0 as the format's own writer does
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return end


def write_archive(path, width, blocks, heads=12):
    """The same as Google's programs keep it: no array of a zip begins where numbers should."""
    arrays = {"cls": (1, 1, width), "embedding/kernel": (16, 16, 3, width), "embedding/bias": (width,),
              "Transformer/posembed_input/pos_embedding": (1, 197, width)}
    norms = ["Transformer/encoder_norm"]
    heads = (heads, width // heads)
    for i in range(blocks):
        block = f"Transformer/encoderblock_{i}"
        norms += [f"{block}/LayerNorm_0", f"{block}/LayerNorm_2"]
        attention = f"{block}/MultiHeadDotProductAttention_1"
        for name in ("query", "key", "value"):
            arrays |= {f"{attention}/{name}/kernel": (width, *heads), f"{attention}/{name}/bias": heads}
        arrays |= {f"{attention}/out/kernel": (*heads, width), f"{attention}/out/bias": (width,)}
        for name, inputs, out in (("Dense_0", 1, 4), ("Dense_1", 4, 1)):
            arrays |= {f"{block}/MlpBlock_3/{name}/kernel": (inputs * width, out * width),
                       f"{block}/MlpBlock_3/{name}/bias": (out * width,)}
    for name in norms:
        arrays |= {f"{name}/scale": (width,), f"{name}/bias": (width,)}
    zeros = {name: numpy.zeros(shape, "float32") for name, shape in arrays.items()}
    numpy.savez(path, **zeros)
    return sum(array.nbytes for array in zeros.values())


def measure(name, path):
    """How far a process's largest memory grows by the load, in bytes."""
    return int(subprocess.check_output([sys.executable, "-c", LOAD, name, path]))


def check_load(path, weights):
    taken = measure("vit_b_16", path)
    assert taken < 1.2 * weights, (taken, weights)


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_load_holds_its_weights_once(tmp_path, ahead):
    path = tmp_path / "vit.safetensors"
    check_load(path, write_zeros(path, 768, BLOCKS, ahead))


def test_an_archive_is_held_once_too(tmp_path):
    path = tmp_path / "vit.npz"
    check_load(path, write_archive(path, 768, BLOCKS))
