#!/usr/bin/env python3
"""The memory that loading weights takes, as a multiple of the weights.

    PYTHONPATH=build/bindings/python tests/bench/load_memory.py             the largest family, of zeros
    PYTHONPATH=build/bindings/python tests/bench/load_memory.py NAME FILE   a backbone from a file of yours

What was taken is the process's largest resident memory (VmHWM) less what it held (VmRSS) when a ResNet-18 had been
made and freed: whatever any backbone takes is left out. Without a file two of a ViT-L/16 are written: safetensors, and Google's .npz, whose arrays
lie unaligned and turned.
"""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "bindings"))
from test_load_memory import measure, write_archive, write_zeros  # noqa: E402

WIDTH, BLOCKS, HEADS = 1024, 24, 16


def show(name, path, weights):
    taken = measure(name, path)
    print(f"{name:20} {os.path.splitext(path)[1]:12} {weights / 1e6:7.0f} MB of weights, {taken / 1e6:7.0f} MB taken:"
          f" {taken / weights:.2f}", flush=True)


if len(sys.argv) == 3:
    show(sys.argv[1], sys.argv[2], os.path.getsize(sys.argv[2]))
elif len(sys.argv) == 1:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vit.safetensors")
        show("vit_l_16", path, write_zeros(path, WIDTH, BLOCKS, 0))
        os.unlink(path)
        path = os.path.join(folder, "vit.npz")
        show("vit_l_16", path, write_archive(path, WIDTH, BLOCKS, HEADS))
else:
    sys.exit(__doc__)
