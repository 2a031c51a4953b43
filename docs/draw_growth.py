"""Draws docs/images/growth.png from the tables of docs/performance.md.

    python3 docs/draw_growth.py            draws it; needs Debian's python3-matplotlib
    python3 docs/draw_growth.py --check    fails where the picture shows other numbers than the page

The numbers stand on the page alone. The picture carries a digest of those it was drawn from.
"""
import hashlib
import math
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE, PICTURE = f"{HERE}/performance.md", f"{HERE}/images/growth.png"
OURS, PEERS, FLOOR, SECOND = "#0b61a4", ["#d1600a", "#8a5a9e"], "#7a7a7a", "#4fa3dd"

# panel: title, names of x and y, the slope at which cost grows as something does, its table (how the header begins),
# which rows of it, what of a row's name is x, and the lines: column, label, where the label stands, colour, factor
PANELS = [
    ("Metrics of maps of 1024 x 1024", "maps", "seconds", (1, "∝ maps"), "maps", r"of 1024 x", r"(\d+) of", [
        (2, "ADEval, 1,000 bins", "above", PEERS[0], 1), (1, "libimiad", "further", OURS, 1),
        (3, "floor: counting alone", "below", FLOOR, 1)]),
    ("Metrics of 100 maps", "side of a map, pixels", "seconds", (2, "∝ pixels"), "maps", r"^100 of", r"x (\d+)", [
        (2, "ADEval, 1,000 bins", "above", PEERS[0], 1), (1, "libimiad", "further", OURS, 1),
        (3, "floor: counting alone", "below", FLOOR, 1)]),
    ("PNG, decoded and resized to 256", "side of the image, pixels", "milliseconds", (2, "∝ pixels"), "pixels", "",
     r"(\d+) x", [
         (2, "Pillow", "above", PEERS[0], 1), (3, "OpenCV", "further", PEERS[1], 1), (1, "libimiad", "below", OURS, 1),
         (4, "floor: read and write once", "below", FLOOR, 1)]),
    ("Patch embedding, WRN-50-2", "side of the input, pixels", "milliseconds an image", (2, "∝ pixels"),
     "input | libimiad", "", r"(\d+)", [
         (2, "official order of operations", "above", PEERS[0], 1), (1, "libimiad", "above", OURS, 1),
         (3, "floor: read and write once", "below", FLOOR, 1)]),
    ("PatchCore, WRN-50-2, two threads", "side of the input, pixels", "seconds an image", (2, "∝ pixels"),
     "input | backbone", "", r"(\d+)", [
         (2, "libimiad, from file to map", "above", OURS, 1), (1, "floor: the backbone alone", "below", FLOOR, 1)]),
    ("Memory bank, 1,024 columns", "rows", "seconds", (1, "∝ rows"), "rows", "", r"([\d,]+)", [
        (1, "libimiad, coreset", "right", SECOND, 1),
        (2, "libimiad, 784 queries", "below", OURS, 1e-3)]),
]
# where a label touches its line, as a share of the panel's width; its distance in points; the end that touches
LABELS = {"above": (0.6, (-8, 5), "right"), "further": (0.77, (-8, 6), "right"), "below": (0.34, (8, -15), "left"),
          "right": (0.62, (8, -13), "left")}


def number(text):
    """The first number of a cell: 2,940 or 0.11."""
    return float(re.match(r"\s*([\d,]*\.?\d+)", text)[1].replace(",", ""))


def read_table(lines, header):
    """The cells of the growth table whose header begins so."""
    found = [i for i, line in enumerate(lines) if line.startswith(f"| {header} ")]
    if len(found) != 1:
        raise SystemExit(f"{PAGE}: {len(found)} tables begin with '{header}', one should")
    rows = []
    for line in lines[found[0] + 2:]:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|\n ").split("|")])
    return rows


def read_panels():
    """For each panel its lines, as pairs of x and y."""
    with open(PAGE, encoding="utf-8") as file:
        lines = file.read().split("\n## How cost grows\n")[1].splitlines()
    panels = []
    for _, _, _, _, header, kept, size, columns in PANELS:
        rows = [row for row in read_table(lines, header) if re.search(kept, row[0])]
        xs = [number(re.search(size, row[0])[1]) for row in rows]
        panels.append([sorted((x, number(row[column]) * factor) for x, row in zip(xs, rows))
                       for column, _, _, _, factor in columns])
    return panels


def digest(panels):
    return hashlib.sha256(repr((PANELS, panels)).encode()).hexdigest()


def drawn_digest():
    """What the picture says it was drawn from: its PNG chunk tEXt "Source"."""
    with open(PICTURE, "rb") as file:
        data = file.read()
    at = 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"tEXt" and data[at + 8:at + 15] == b"Source\0":
            return data[at + 15:at + 8 + size].decode()
        at += size + 12
    return None


def along(points, share):
    """Where a line of a logarithmic panel is at a share of the width."""
    x = points[0][0] * (points[-1][0] / points[0][0]) ** share
    (left, low), (right, high) = next((a, b) for a, b in zip(points, points[1:]) if a[0] <= x <= b[0])
    return x, low * (high / low) ** (math.log(x / left) / math.log(right / left))


def draw_lines(axes, columns, lines):
    for points, (_, label, place, colour, _) in zip(lines, columns):
        floor = label.startswith("floor")
        axes.plot(*zip(*points), "--" if floor else "-", color=colour, linewidth=1.5 if floor else 2.2,
                  marker=None if floor else "o", markersize=5, zorder=2 if floor else 3)
        share, offset, end = LABELS[place]
        axes.annotate(label, along(points, share), textcoords="offset points", xytext=offset, ha=end,
                      color=colour, zorder=4)


def draw_slope(axes, slope, label):
    """A dotted piece in the lower right corner: the growth of what there is to do."""
    (left, right), (low, _) = axes.get_xlim(), axes.get_ylim()
    xs = [left * (right / left) ** share for share in (0.72, 0.96)]
    ys = [low * 1.12, low * 1.12 * (xs[1] / xs[0]) ** slope]
    axes.plot(xs, ys, ":", color="black", linewidth=1.3)
    axes.annotate(label, (xs[0], ys[0]), textcoords="offset points", xytext=(-5, 0), ha="right", size=9)


def draw_panel(axes, panel, lines):
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

    title, across, up, slope, _, _, _, columns = panel
    xs = [x for x, _ in lines[0]]
    low, high = (least(y for points in lines for _, y in points) for least in (min, max))
    plain = FuncFormatter(lambda value, _: f"{value:,.10g}")
    axes.set(xscale="log", yscale="log", xlabel=across, ylabel=up,
             xlim=(xs[0] * (xs[0] / xs[-1]) ** 0.04, xs[-1] * (xs[-1] / xs[0]) ** 0.04),
             ylim=(low * (low / high) ** 0.12, high * (high / low) ** 0.08))
    axes.set_title(title, loc="left", weight="bold", pad=8)
    axes.xaxis.set(major_locator=FixedLocator(xs), minor_locator=NullLocator(), major_formatter=plain)
    axes.yaxis.set(major_locator=LogLocator(10, [1] if high / low > 20 else [1, 2, 5]), major_formatter=plain,
                   minor_formatter=NullFormatter())
    axes.grid(True, which="major", color="#e3e3e3", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    draw_lines(axes, columns, lines)
    draw_slope(axes, *slope)


def draw(panels):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 10.5, "axes.titlesize": 11.5, "axes.edgecolor": "#888888"})
    figure, grid = plt.subplots(3, 2, figsize=(9.5, 10), layout="constrained")
    for axes, panel, lines in zip(grid.flat, PANELS, panels):
        draw_panel(axes, panel, lines)
    figure.savefig(PICTURE, dpi=130, metadata={"Source": digest(panels), "Software": None})


def main():
    panels = read_panels()
    if sys.argv[1:] != ["--check"]:
        draw(panels)
    elif drawn_digest() != digest(panels):
        raise SystemExit(f"{PICTURE} shows other numbers than {PAGE}: run {sys.argv[0]} without --check")
    return 0


sys.exit(main())
