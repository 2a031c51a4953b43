#!/usr/bin/python3
"""Prints deep_files.h: grey image files of more than 8 bits as C arrays, with the values that they hold,
and 16-bit images that Pillow resized.

    tests/golden/make_deep.py > tests/image/deep_files.h

needs a Pillow of 10.3 to 11: earlier ones do not resize their mode I;16, and 13 exchanges the two passes
where that is quicker. What Pillow cannot write is put together by hand, and read back where Pillow can.
"""
import io
import struct
import zlib

import numpy
import PIL
from PIL import Image

WIDTH, HEIGHT = 11, 7
WHITE = 65535


def made(width, height):
    y, x = numpy.mgrid[:height, :width].astype(numpy.int64)
    return ((x * 7919 + y * 104729 + x * y * 31) * 48271 & WHITE).astype(numpy.uint16)


def saved(values, kind, **options):
    out = io.BytesIO()
    Image.fromarray(values).save(out, kind, **options)
    return out.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values, *, alpha=False, significant=None):
    channels = numpy.stack([values, values[::-1]], -1) if alpha else values
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in channels)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 4 if alpha else 0, 0, 0, 0)
    said = bytes([significant] * (2 if alpha else 1)) if significant else None
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + (chunk(b"sBIT", said) if said else b"")
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def packed(values, bits):
    """Rows of values without gaps, each padded to a byte."""
    rows = b""
    for row in values:
        text = "".join(f"{int(v):0{bits}b}" for v in row)
        text += "0" * (-len(text) % 8)
        rows += int(text, 2).to_bytes(len(text) // 8, "big")
    return rows


def tiff(values, bits, *, inverse=False, tile=0):
    """Little-endian, without compression."""
    height, width = values.shape
    if tile:
        pieces = []
        for top in range(0, height, tile):
            for left in range(0, width, tile):
                piece = numpy.zeros((tile, tile), numpy.uint16)
                part = values[top:top + tile, left:left + tile]
                piece[:part.shape[0], :part.shape[1]] = part
                pieces.append(piece.astype("<u2").tobytes())
    else:
        pieces = [values.astype("<u2").tobytes() if bits == 16 else packed(values, bits)]
    places, at = [], 8
    for piece in pieces:
        places.append(at)
        at += len(piece)
    lists = struct.pack(f"<{len(places)}I", *places)
    lists += struct.pack(f"<{len(pieces)}I", *[len(p) for p in pieces])
    count = len(pieces)
    many = count > 1
    fields = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 1),
              (262, 3, 1, 0 if inverse else 1), (277, 3, 1, 1)]
    counts = at + 4 * count if many else len(pieces[0])
    if tile:
        fields += [(322, 4, 1, tile), (323, 4, 1, tile), (324, 4, count, at if many else places[0]),
                   (325, 4, count, counts)]
    else:
        fields += [(273, 4, 1, places[0]), (278, 4, 1, height), (279, 4, 1, counts)]
    folder = struct.pack("<H", len(fields))
    folder += b"".join(struct.pack("<HHII", *field) for field in sorted(fields)) + b"\0\0\0\0"
    return b"II*\0" + struct.pack("<I", at + len(lists)) + b"".join(pieces) + lists + folder


def pnm(kind, top, values):
    head = f"P{kind}\n{values.shape[1]} {values.shape[0]}\n{top}\n".encode()
    if kind == 2:
        return head + b"\n".join(" ".join(str(v) for v in row).encode() for row in values) + b"\n"
    return head + values.astype(">u2").tobytes()


def stretched(values, top):
    return numpy.rint(values / top * WHITE).astype(numpy.uint16)


def files():
    deep = made(WIDTH, HEIGHT)
    twelve, ten = deep >> 4, deep >> 6
    yield "deep.png", saved(deep, "PNG"), deep, deep
    yield "deep_alpha.png", png(deep, alpha=True), deep, None
    yield "sbit12.png", png(twelve << 4 | twelve >> 8, significant=12), stretched(twelve, 4095), None
    yield "sbit10_low_zero.png", png(ten << 6, significant=10), stretched(ten, 1023), None
    yield "deep.tif", saved(deep, "TIFF"), deep, deep
    yield "deep_lzw.tif", saved(deep, "TIFF", compression="tiff_lzw"), deep, deep
    yield "deep_tiles.tif", tiff(numpy.tile(deep, (3, 2)), 16, tile=16), numpy.tile(deep, (3, 2)), True
    yield "packed12.tif", tiff(twelve, 12), stretched(twelve, 4095), twelve
    yield "packed10.tif", tiff(ten, 10), stretched(ten, 1023), None
    yield "inverse.tif", tiff(deep, 16, inverse=True), WHITE - deep, None
    yield "deep.pgm", pnm(5, WHITE, deep), deep, None
    yield "deep12.pgm", pnm(5, 4095, twelve), stretched(twelve, 4095), None
    yield "deep12_text.pgm", pnm(2, 4095, twelve), stretched(twelve, 4095), None


def check(name, data, expected, raw):
    if raw is None:
        return
    seen = numpy.asarray(Image.open(io.BytesIO(data)))
    assert (seen == (expected if raw is True else raw)).all(), name


def array(name, kind, values):
    print(f"static const {kind} {name}[] = {{")
    values = [int(v) for v in values]
    for i in range(0, len(values), 14):
        print("    " + ", ".join(str(v) for v in values[i:i + 14]) + ",")
    print("};")


def main():
    print(f"/* Made by tests/golden/make_deep.py with Pillow {PIL.__version__}: our own pictures. */")
    print("#ifndef TESTS_DEEP_FILES_H\n#define TESTS_DEEP_FILES_H\n")
    print("#include <stddef.h>\n#include <stdint.h>\n\n/* clang-format off */")
    lines = []
    for name, data, expected, raw in files():
        symbol = "deep_" + name.replace(".", "_")
        check(name, data, expected, raw)
        array(symbol, "uint8_t", data)
        array(f"{symbol}_values", "uint16_t", expected.ravel())
        lines.append(f'    {{"{name}", {symbol}, sizeof {symbol}, {symbol}_values, '
                     f"{expected.shape[1]}, {expected.shape[0]}}},")
    print("\nstatic const struct deep_file {\n    const char *name;\n    const uint8_t *bytes;\n"
          "    size_t size;\n    const uint16_t *values; /* 0 is black, 65535 white */\n"
          "    int width, height;\n} deep_files[] = {")
    print("\n".join(lines))
    print("};\n\nenum { DEEP_FILES = sizeof deep_files / sizeof *deep_files };\n")
    resized, lines = Image.fromarray(made(40, 31)), []
    for width, height in ((13, 9), (50, 12), (40, 10), (17, 31)):
        values = numpy.asarray(resized.resize((width, height), Image.BILINEAR))
        array(f"resized_{width}_{height}", "uint16_t", values.ravel())
        lines.append(f"    {{{width}, {height}, resized_{width}_{height}}},")
    print("\n/* Of the picture of 40 x 31 pixels. */\nstatic const struct {\n    int width, height;\n"
          "    const uint16_t *values;\n} deep_resized[] = {")
    print("\n".join(lines))
    print("};\n\nenum { DEEP_RESIZED = sizeof deep_resized / sizeof *deep_resized };\n")
    print("/* clang-format on */\n\n#endif")


main()
