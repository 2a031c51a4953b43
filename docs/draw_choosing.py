"""Draws docs/images/choosing.png from the tables of docs/choosing.md.

    python3 docs/draw_choosing.py            draws it; needs Debian's python3-matplotlib
    python3 docs/draw_choosing.py --check    fails where the picture shows other numbers than the page

For each detector that trains nothing: milliseconds of one image, and the mean image AUROC of the categories, with all
good images and with four. The numbers stand on the page alone. The picture carries a digest of those it was drawn from.
"""
import hashlib
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE, PICTURE = f"{HERE}/choosing.md", f"{HERE}/images/choosing.png"
CATEGORIES = ["circuit", "fabric", "fuse_box", "hex_nut", "transistor"]
SHOWN = ["all", "4"]
COLOURS, LABELS = ["#0b61a4", "#d1600a"], ["all good images learned", "four good images learned"]
# where a label stands beside its point, and the end that touches; others stand on the right
PLACES = {"padim": ((-7, -4), "right")}


def read_rows(lines):
    """The rows of all tables whose first column is the detector, each as a dictionary."""
    rows, head = [], None
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|\n ").split("|")] if line.startswith("|") else None
        if not cells or not head:
            head = cells
        elif head[0] == "detector" and not cells[0].startswith("---"):
            rows.append(dict(zip(head, cells), name=re.search(r"`(\w+)`", cells[0])[1]))
    return rows


def mean(row):
    """Of the image AUROC, which each cell begins with; none where a category was not measured."""
    found = [re.match(r"[\d.]+", row[category]) for category in CATEGORIES]
    return sum(float(match[0]) for match in found) / len(found) if all(found) else None


def read_points():
    """Name: milliseconds, mean with all images, mean with four."""
    with open(PAGE, encoding="utf-8") as file:
        rows = read_rows(file)
    times = {row["name"]: re.match(r"[\d.]+", row["1 thread, ms"]) for row in rows if "1 thread, ms" in row}
    points = {name: [float(time[0]), None, None] for name, time in times.items() if time}
    for row in rows:
        images = row.get("images", "all")
        if row["name"] in points and set(CATEGORIES) <= set(row) and images in SHOWN:
            points[row["name"]][SHOWN.index(images) + 1] = mean(row)
    return {name: point for name, point in points.items() if any(point[1:])}


def digest(points):
    return hashlib.sha256(repr((sorted(points.items()), PLACES)).encode()).hexdigest()


def draw(points):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.patheffects import withStroke
    from matplotlib.ticker import FuncFormatter, NullFormatter

    plt.rcParams.update({"font.size": 10.5, "axes.edgecolor": "#888888"})
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    for name, (time, everything, few) in points.items():
        heights = [value for value in (everything, few) if value is not None]
        axes.plot([time] * len(heights), heights, "-", color="#bbbbbb", linewidth=1.5, zorder=1)
        offset, end = PLACES.get(name, ((7, -4), "left"))
        if heights:
            axes.annotate(name, (time, max(heights)), textcoords="offset points", xytext=offset, ha=end, zorder=4,
                          path_effects=[withStroke(linewidth=3, foreground="white")])
    for i, (colour, label) in enumerate(zip(COLOURS, LABELS), 1):
        shown = [point for point in points.values() if point[i] is not None]
        axes.plot([point[0] for point in shown], [point[i] for point in shown], "o", color=colour, label=label,
                  markerfacecolor=colour if i == 1 else "white", zorder=3)
    plain = FuncFormatter(lambda value, _: f"{value:,.10g}")
    axes.set(xscale="log", xlabel="milliseconds for one image alone, one thread", ylabel="mean image AUROC")
    axes.xaxis.set(major_formatter=plain, minor_formatter=NullFormatter())
    times = sorted(point[0] for point in points.values())
    axes.set_xticks([tick for tick in (10, 20, 30, 50, 100, 200, 500, 1000, 2000)
                     if times[0] * 0.8 <= tick <= times[-1] * 1.3])
    axes.grid(True, color="#e3e3e3", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(PICTURE, dpi=130, metadata={"Source": digest(points), "Software": None})


def main():
    points = read_points()
    if sys.argv[1:] != ["--check"]:
        draw(points)
        return 0
    with open(PICTURE, "rb") as file:
        if b"tEXtSource\0" + digest(points).encode() not in file.read():
            raise SystemExit(f"{PICTURE} shows other numbers than {PAGE}: run {sys.argv[0]} without --check")
    return 0


if __name__ == "__main__":
    sys.exit(main())
