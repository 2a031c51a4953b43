#!/usr/bin/env python3
"""Writes pth_files.h: small files of PyTorch's own making, which test_pth.c reads.

Made with PyTorch 1.13 (Debian's python3-torch):  python3 make_pth.py > pth_files.h
"""
import io
import os
import struct
import tempfile
import zipfile
import zlib
from collections import OrderedDict

import torch


def saved(value, **options):
    """The bytes that torch.save writes to a path: the path's stem becomes the archive's root."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "r.pth")
        torch.save(value, path, **options)
        with open(path, "rb") as file:
            return file.read()


def packed_again(data, root):
    """The same members, deflated, below another root, with an archive comment."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        new.comment = b"packed again"
        for name in old.namelist():
            info = zipfile.ZipInfo(root + name.split("/", 1)[1])
            new.writestr(info, old.read(name), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def with_zip64_entries(data):
    """The same members with all sizes and offsets in ZIP64 extra fields, as in huge archives."""
    body, directory, count = b"", b"", 0
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        for name in old.namelist():
            content, text, offset = old.read(name), name.encode(), len(body)
            fixed = struct.pack("<HHHHHI", 45, 0, 0, 0, 0, zlib.crc32(content))
            sizes = struct.pack("<QQ", len(content), len(content))
            body += b"PK\3\4" + fixed + struct.pack("<IIHH", 2**32 - 1, 2**32 - 1, len(text), 20)
            body += text + struct.pack("<HH", 1, 16) + sizes + content
            directory += b"PK\1\2" + struct.pack("<H", 45) + fixed
            directory += struct.pack("<IIHHHHHII", 2**32 - 1, 2**32 - 1, len(text), 36, 0, 0, 0, 0,
                                     2**32 - 1)
            # another field first: readers must look for theirs
            directory += text + struct.pack("<HHI", 0x7777, 4, 0)
            directory += struct.pack("<HH", 1, 24) + sizes + struct.pack("<Q", offset)
            count += 1
    end = struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, len(directory), len(body))
    locator = struct.pack("<IQI", 0, len(body) + len(directory), 1)
    plain = struct.pack("<HHHHIIH", 2**16 - 1, 2**16 - 1, 2**16 - 1, 2**16 - 1, 2**32 - 1,
                        2**32 - 1, 0)
    plain = b"\0\0\0\0" + plain[4:]
    return body + directory + b"PK\6\6" + end + b"PK\6\7" + locator + b"PK\5\6" + plain


def every_kind():
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    return OrderedDict(
        base=base,
        transposed=base.t(),
        column=base[:, 1],
        row=base[2],
        image=torch.arange(12, dtype=torch.float32).reshape(1, 3, 2, 2).to(
            memory_format=torch.channels_last),
        spread=torch.tensor([7.0]).expand(2, 3),
        empty=torch.zeros(0, 3),
        scalar=torch.tensor(2.5),
        half=torch.tensor([1.0, -2.0], dtype=torch.float16),
        brain=torch.tensor([1.0, -2.0], dtype=torch.bfloat16),
        double=torch.tensor([0.1], dtype=torch.float64),
        long=torch.tensor(-5),
        int=torch.tensor([1, -1], dtype=torch.int32),
        byte=torch.tensor([0, 255], dtype=torch.uint8),
        bool=torch.tensor([True, False]),
        parameter=torch.nn.Parameter(torch.tensor([1.0, 2.0])),
        epoch=3,
        note="not a tensor",
        flags=[None, True, 0.5, (1, 2, 3, 2**40)],
    )


def model():
    layers = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    for value in layers.parameters():
        torch.nn.init.constant_(value, 0.25)
    return layers


def checkpoint():
    """As ImageNet training scripts write it: DataParallel's prefix, and an optimiser's state."""
    layers = model()
    optimizer = torch.optim.SGD(layers.parameters(), lr=0.1, momentum=0.9)
    state = OrderedDict(("module." + k, v) for k, v in layers.state_dict().items())
    return {"epoch": 7, "arch": "tiny", "best": 0.5, "state_dict": state,
            "optimizer": optimizer.state_dict()}


def two_networks():
    """As RD4AD's authors save theirs."""
    return {"bn": model().state_dict(), "decoder": {"w": torch.tensor([3.0])}, "epoch": 7}


torch.manual_seed(0)
files = {
    "zip_every_kind": saved(every_kind()),
    "legacy_every_kind": saved(every_kind(), _use_new_zipfile_serialization=False),
    "deflated_every_kind": packed_again(saved(every_kind()), "another root.v2/"),
    "zip64_entries": with_zip64_entries(saved({"a": torch.tensor([1.0, 2.0])})),
    "zip_checkpoint": saved(checkpoint()),
    "legacy_model": saved({"model": model().state_dict()}, _use_new_zipfile_serialization=False),
    "zip_int8": saved({"q": torch.tensor([1], dtype=torch.int8)}),
    "zip_whole_model": saved(torch.nn.Linear(1, 1)),
    "zip_no_tensors": saved({"epoch": 1, "args": {}}),
    "zip_two_networks": saved(two_networks()),
    "zip_list": saved([torch.zeros(1)]),
}
print("/* Made by make_pth.py with PyTorch %s: not to be edited. */" % torch.__version__.split("a")[0])
print("#ifndef TESTS_PTH_FILES_H\n#define TESTS_PTH_FILES_H\n\n#include <stdint.h>\n")
print("/* clang-format off */")
for name, data in files.items():
    print("static const uint8_t %s[%d] = {" % (name, len(data)))
    for i in range(0, len(data), 32):
        print(",".join(str(b) for b in data[i:i + 32]) + ",")
    print("};")
print("\n#endif")
