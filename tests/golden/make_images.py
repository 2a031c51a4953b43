#!/usr/bin/python3
"""Prints image_files.h: small procedural image files as C arrays, with what Pillow shows of them.

    tests/golden/make_images.py > tests/image/image_files.h

Every picture is drawn here by a formula; none comes from elsewhere. Files that Pillow cannot write
(16-bit colour, interlaced, palettes of few bits) are put together by hand. What is expected is
Pillow's convert("RGB") of the file, but the high byte where grey has 16 bits (there Pillow clips).
"""
import io
import struct
import zlib

import numpy
import PIL
from PIL import Image

WIDTH, HEIGHT = 11, 7
Y, X = numpy.mgrid[0:HEIGHT, 0:WIDTH]


def ramp(top):
    """Values 0..top, smooth, with an edge."""
    return ((X * 5 + Y * 9 + (X > Y) * 40) * top // 160).astype(int)


def rgb():
    return numpy.stack([ramp(255), 255 - ramp(255), (X * 23) % 256], -1).astype(numpy.uint8)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def pack_rows(values, depth):
    """Rows of samples (height x samples a row) as PNG stores them, unfiltered."""
    rows = b""
    for row in values:
        if depth == 16:
            packed = b"".join(struct.pack(">H", v) for v in row)
        else:
            bits = "".join(format(v, f"0{depth}b") for v in row)
            bits += "0" * (-len(bits) % 8)
            packed = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
        rows += b"\0" + packed
    return rows


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
         (0, 1, 1, 2)]


def png(samples, depth, color, palette=None, transparency=None, interlaced=False):
    """samples: height x width x samples a pixel."""
    height, width = samples.shape[:2]
    raw = b""
    for x0, y0, dx, dy in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        part = samples[y0::dy, x0::dx]
        if part.size:
            raw += pack_rows(part.reshape(part.shape[0], -1).tolist(), depth)
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    if palette is not None:
        data += chunk(b"PLTE", palette.astype(numpy.uint8).tobytes())
    if transparency is not None:
        data += chunk(b"tRNS", transparency)
    return data + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def saved(image, form, **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def palette(count):
    i = numpy.arange(count)
    return numpy.stack([i * 200 // count, 255 - i * 90 // count, (i * 37) % 256], -1)


def files():
    for depth in (1, 2, 4, 8):
        yield f"grey{depth}.png", png(ramp(2**depth - 1)[:, :, None], depth, 0), True
    yield "grey16.png", png(ramp(65535)[:, :, None], 16, 0), True
    alpha = ((X * 29) % 256)[:, :, None]
    yield "grey_alpha.png", png(numpy.concatenate([ramp(255)[:, :, None], alpha], -1), 8, 4), True
    yield "grey_transparent.png", png(ramp(255)[:, :, None], 8, 0, transparency=b"\0\x28"), True
    for depth in (1, 2, 4, 8):
        count = min(2**depth, 200)
        yield (f"palette{depth}.png", png(ramp(count - 1)[:, :, None], depth, 3, palette(count)),
               False)
    yield ("palette_transparent.png",
           png(ramp(15)[:, :, None], 4, 3, palette(16), transparency=bytes(range(16))), False)
    yield "rgb.png", saved(Image.fromarray(rgb()), "PNG"), False
    yield "rgb_interlaced.png", png(rgb().astype(int), 8, 2, interlaced=True), False
    yield "grey_interlaced.png", png(ramp(3)[:, :, None], 2, 0, interlaced=True), True
    yield "rgba.png", saved(Image.fromarray(numpy.concatenate([rgb(), alpha.astype(numpy.uint8)],
                                                              -1)), "PNG"), False
    wide = rgb().astype(int) * 256 + (X * 11)[:, :, None]
    yield "rgb16.png", png(wide, 16, 2), False
    yield "rgba16.png", png(numpy.concatenate([wide, alpha * 256], -1), 16, 6), False
    yield "one_pixel.png", png(numpy.array([[[200, 100, 50]]]), 8, 2), False
    grey = Image.fromarray(ramp(255).astype(numpy.uint8))
    color = Image.fromarray(rgb())
    yield "grey.jpg", saved(grey, "JPEG", quality=90), True
    yield "color444.jpg", saved(color, "JPEG", quality=90, subsampling=0), False
    yield "color420.jpg", saved(color, "JPEG", quality=75, subsampling=2), False
    yield "progressive.jpg", saved(color, "JPEG", quality=80, progressive=True), False
    yield "one_bit.bmp", saved(grey.convert("1"), "BMP"), False
    yield "grey.bmp", saved(grey, "BMP"), False
    yield "palette.bmp", saved(color.quantize(200), "BMP"), False
    yield "rgb.bmp", saved(color, "BMP"), False
    yield "rgba.bmp", saved(color.convert("RGBA"), "BMP"), False


def shown(name, data):
    if name == "grey16.png":
        values = (ramp(65535) >> 8).astype(numpy.uint8)
        return numpy.repeat(values[:, :, None], 3, 2)
    return numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def array(name, data):
    print(f"static const uint8_t {name}[] = {{")
    for i in range(0, len(data), 20):
        print("    " + ", ".join(str(b) for b in data[i:i + 20]) + ",")
    print("};")


def main():
    print(f"/* Made by tests/golden/make_images.py with Pillow {PIL.__version__}: our own pictures. */")
    print("#ifndef TESTS_IMAGE_FILES_H\n#define TESTS_IMAGE_FILES_H\n")
    print("#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n")
    print("/* clang-format off */")
    lines = []
    for name, data, grey in files():
        symbol = name.replace(".", "_")
        array(symbol, data)
        pixels = shown(name, data)
        if grey:
            assert (pixels[:, :, 0] == pixels[:, :, 2]).all()
            pixels = pixels[:, :, 0]
        array(f"{symbol}_shown", pixels.tobytes())
        lines.append(f'    {{"{name}", {symbol}, sizeof {symbol}, {symbol}_shown, '
                     f'{pixels.shape[1]}, {pixels.shape[0]}, {str(grey).lower()}}},')
    print("\nstatic const struct image_file {\n    const char *name;\n    const uint8_t *bytes;\n"
          "    size_t size;\n    const uint8_t *shown; /* GRAY8 or RGB8 */\n"
          "    int32_t width, height;\n    bool grey;\n} image_files[] = {")
    print("\n".join(lines))
    print("};\n\nenum { IMAGE_FILES = sizeof image_files / sizeof *image_files };\n")
    print("/* clang-format on */\n\n#endif")


if __name__ == "__main__":
    main()
