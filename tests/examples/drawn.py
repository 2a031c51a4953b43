"""Images for the tests of the station, of the standard library alone.

    drawn.py gray|rgb WIDTH HEIGHT SEED FILE [bar|black|flat|sixteen|sixteenbar|twelve|half]
"""
import random
import struct
import sys
import zlib


def png(rows, width, height, color, depth=8):
    """rows: bytes of every row, without filters."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    data = b"".join(b"\0" + row for row in rows)
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data, 1)) + chunk(b"IEND", b"")


def pixels(path):
    """The rows of a PNG of 8 bits a value, without their filters, and the bytes of a pixel."""
    with open(path, "rb") as file:
        data = file.read()
    width, height, _, color = struct.unpack(">IIBB", data[16:26])
    at, packed, step = 8, b"", {0: 1, 2: 3, 6: 4}[color]
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        packed += data[at + 8:at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    raw, rows, above = zlib.decompress(packed), [], bytearray(width * step)
    for y in range(height):
        start = y * (width * step + 1)
        how, row = raw[start], bytearray(raw[start + 1:start + 1 + width * step])
        for x in range(width * step if how else 0):
            left, corner = (row[x - step], above[x - step]) if x >= step else (0, 0)
            near = min((left, above[x], corner), key=lambda v: abs(left + above[x] - corner - v))
            row[x] = row[x] + (0, left, above[x], (left + above[x]) // 2, near)[how] & 255
        rows.append(bytes(row))
        above = row
    return rows, step


def part(width, height, seed, what="", channels=3):
    """A grey disc on a dark ground, with grain that the seed makes."""
    draw = random.Random(seed)
    wide = what in ("sixteen", "sixteenbar", "twelve")
    rows = []
    for y in range(height):
        row = bytearray()
        for x in range(width):
            inside = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) < 0.1
            value = (150 if inside else 60) + draw.randrange(-9, 10)
            if what == "flat":
                value = 90
            if what == "black":
                value = draw.randrange(3)
            barred = x < max(2, width // 32) and height // 4 < y < 3 * height // 4
            pixel = [value] * channels
            if what == "bar" and barred:
                pixel = [255, 255, 0][:channels]
            if what == "sixteenbar" and barred:
                value = 255
            if wide:
                value = value * 14 if what == "twelve" else value
                pixel = [value >> 8, value & 255]
            row += bytes(pixel)
        rows.append(bytes(row))
    return png(rows, width, height, 0 if channels == 1 or wide else 2, 16 if wide else 8)


def main():
    kind, width, height, seed, path = sys.argv[1:6]
    what = sys.argv[6] if len(sys.argv) > 6 else ""
    data = part(int(width), int(height), seed, what, 1 if kind == "gray" else 3)
    with open(path, "wb") as file:
        file.write(data[:len(data) // 2] if what == "half" else data)


if __name__ == "__main__":
    main()
