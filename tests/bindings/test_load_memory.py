"""A large weight file is not held twice while it is loaded."""
import json
import math
import struct
import subprocess
import sys

LOAD = """
import re, sys
import imiad

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

imiad.Backbone("resnet18")                 # what any backbone takes beside its weights
before = peak()
imiad.Backbone("vit_b_16", sys.argv[1])
print(peak() - before)
"""


def write_zeros(path, width, blocks):
    """A vision transformer's safetensors, as sparse as a file can be. Returns its bytes of weights."""
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
    text += b" " * (-len(text) % 8)  # as the format's own writer does
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return end


def test_a_load_holds_its_weights_once(tmp_path):
    path = tmp_path / "vit.safetensors"
    weights = write_zeros(path, 768, 12)
    taken = int(subprocess.check_output([sys.executable, "-c", LOAD, path]))
    assert taken < 1.2 * weights, (taken, weights)
