"""The README's first picture, of what `sh examples/quickstart.sh` left.

usage: draw_readme_picture.py results/maps docs/images/heatmaps.png
"""
import sys

from PIL import Image

CHOSEN = ["fabric/hole_001", "fuse_box/wrong_rating_001",
          "circuit/shifted_part_001", "hex_nut/rust_001"]
maps, target = sys.argv[1:]
pictures = [Image.open(f"{maps}/{name}.png") for name in CHOSEN]
wide, high = (max(p.size[i] for p in pictures) for i in (0, 1))
whole = Image.new("RGB", (2 * wide, 2 * high), "white")
for i, picture in enumerate(pictures):
    whole.paste(picture, (i % 2 * wide, i // 2 * high))
whole.save(target, optimize=True)
