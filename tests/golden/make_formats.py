#!/usr/bin/python3
"""Prints format_files.h: image files of further formats as C arrays, with what Pillow shows of them.

    tests/golden/make_formats.py > tests/image/format_files.h

The pictures are those of make_images.py. What is expected is Pillow's convert("RGB"), but the high byte
where grey has 16 bits (there Pillow clips). Pillow cannot write some kinds of BMP, nor YCCK: the BMPs are
put together by hand, and a CMYK JPEG's mark is changed.
"""
import io
import struct

import numpy
import PIL
from PIL import Image

from make_images import HEIGHT, WIDTH, array, ramp, rgb, saved

COLOR = Image.fromarray(rgb())
GREY = Image.fromarray(ramp(255).astype(numpy.uint8))
DEEP = ramp(65535).astype(numpy.uint16)


def bmp(bits, rows, *, size=40, method=0, used=0, after=b"", gap=b"", palette=b"", fields=b""):
    """rows: bottom first, each with its padding."""
    header = struct.pack("<IiiHHIIiiII", size, WIDTH, HEIGHT, 1, bits, method, len(rows), 2835, 2835, used,
                         0)
    header += fields[:size - 40].ljust(size - 40, b"\0") + (fields if size == 40 else b"") + palette + after
    offset = 14 + len(header) + len(gap)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + header + gap + rows


def rows_of(pixel_rows, bytes_a_pixel):
    out = b""
    for row in pixel_rows[::-1]:
        line = b"".join(row)
        out += line + b"\0" * (-len(line) % 4)
    return out


def packed(format_, shifts, tops):
    """Pixels as numbers of bit fields."""
    values = rgb().astype(int)
    return [[struct.pack(format_, sum((int(v) * t // 255) << s for v, t, s in zip(pixel, tops, shifts)))
             for pixel in row] for row in values]


def runs(jump):
    """Runs, bytes as they are, the end of a row before its last pixel, and a jump that leaves zeros."""
    index = (ramp(255) // 64).astype(int)[::-1]
    out = b""
    for y, row in enumerate(index):
        if y == 2 and jump:
            out += b"\0\2\3\0"  # three to the right
            row = row[3:]
        if y == 3:
            out += bytes([0, len(row)]) + bytes(row.tolist()) + b"\0" * (len(row) % 2)
        else:
            for v in row[:-2] if y == 4 else row:
                out += bytes([1, v])
        out += b"\0\0" if y < HEIGHT - 1 else b"\0\1"
    return out


def jpeg_of_inks(mark):
    data = saved(COLOR.convert("CMYK"), "JPEG", quality=90)
    at = data.index(b"Adobe") + 11
    return data[:at] + bytes([mark]) + data[at + 1:]


def pnm(kind, top, values):
    wide = ">u2" if top > 255 else "u1"
    return f"P{kind}\n# made\n{WIDTH} {HEIGHT}\n{top}\n".encode() + values.astype(wide).tobytes()


def tiff(image, **options):
    return saved(image, "TIFF", **options)


def files():
    plain = rows_of([[bytes(p[::-1]) for p in row] for row in rgb()], 3)
    wide = rows_of([[bytes(p[::-1]) + b"\7" for p in row] for row in rgb()], 4)
    m3 = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)
    m4 = m3 + struct.pack("<I", 0xFF000000)
    colors = b"".join(bytes([40 * i, 200 - 30 * i, 20 + i, 0]) for i in range(4))
    four = rows_of([[bytes([v]) for v in row] for row in ramp(255) // 64], 1)
    yield "gap24.bmp", bmp(24, plain, gap=b"\0\0"), False
    yield "hint24.bmp", bmp(24, plain, used=1, palette=b"\1\2\3\0"), False
    yield "gap32.bmp", bmp(32, wide, gap=b"\0\0"), False
    yield "fields_alpha.bmp", bmp(32, wide, method=3, fields=m4), False
    yield "fields_v3.bmp", bmp(32, wide, size=56, method=3, fields=m4), False
    yield "fields_v2.bmp", bmp(32, wide, size=52, method=3, fields=m3), False
    yield "gap_after_palette.bmp", bmp(8, four, used=4, palette=colors, gap=b"\0" * 200), False
    yield "runs.bmp", bmp(8, runs(False), method=1, used=4, palette=colors), False
    yield "jump.bmp", bmp(8, runs(True), method=1, used=4, palette=colors), False
    yield "bits555.bmp", bmp(16, rows_of(packed("<H", (10, 5, 0), (31, 31, 31)), 2)), False
    yield "bits565.bmp", bmp(16, rows_of(packed("<H", (11, 5, 0), (31, 63, 31)), 2), method=3,
                             fields=struct.pack("<III", 0xF800, 0x7E0, 0x1F)), False
    yield "cmyk.jpg", jpeg_of_inks(0), False
    yield "ycck.jpg", jpeg_of_inks(2), False
    yield "bitmap.pbm", saved(GREY.convert("1"), "PPM"), True
    yield "grey.pgm", saved(GREY, "PPM"), True
    yield "rgb.ppm", saved(COLOR, "PPM"), False
    yield "grey100.pgm", pnm(5, 100, ramp(100)), True
    yield "deep.pgm", pnm(5, 65535, DEEP), True
    yield "grey.tif", tiff(GREY), True
    yield "grey_lzw.tif", tiff(GREY, compression="tiff_lzw"), True
    yield "rgb_deflate.tif", tiff(COLOR, compression="tiff_adobe_deflate"), False
    yield "rgba.tif", tiff(COLOR.convert("RGBA")), False
    yield "palette.tif", tiff(COLOR.quantize(50)), False
    yield "one_bit.tif", tiff(GREY.convert("1")), True
    yield "deep.tif", tiff(Image.fromarray(DEEP)), True
    yield "pages.tif", tiff(GREY, save_all=True, append_images=[COLOR]), True
    yield "lossless.webp", saved(COLOR, "WEBP", lossless=True), False
    yield "lossy.webp", saved(COLOR, "WEBP", quality=80), False
    yield "alpha.webp", saved(COLOR.convert("RGBA"), "WEBP", lossless=True), False


def shown(name, data):
    if name.startswith("deep"):
        values = (DEEP >> 8).astype(numpy.uint8)
        return numpy.repeat(values[:, :, None], 3, 2)
    if name == "jump.bmp":  # Pillow 9 takes the two bytes behind the jump for its length
        index = (ramp(255) // 64).astype(int)
        index[HEIGHT - 1 - 2, :3] = index[HEIGHT - 1 - 4, -2:] = 0
        return numpy.stack([20 + index, 200 - 30 * index, 40 * index], -1).astype(numpy.uint8)
    if name.startswith("fields_v"):  # headers that Pillow 9 does not know; later ones do
        return rgb()
    return numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def main():
    print(f"/* Made by tests/golden/make_formats.py with Pillow {PIL.__version__}: our own pictures. */")
    print("#ifndef TESTS_FORMAT_FILES_H\n#define TESTS_FORMAT_FILES_H\n")
    print('#include "image_files.h"\n\n/* clang-format off */')
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
    print("\nstatic const struct image_file format_files[] = {")
    print("\n".join(lines))
    print("};\n\nenum { FORMAT_FILES = sizeof format_files / sizeof *format_files };\n")
    print("/* clang-format on */\n\n#endif")


if __name__ == "__main__":
    main()
