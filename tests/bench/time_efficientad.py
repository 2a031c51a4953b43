"""Seconds that EfficientAD's public code takes for one image in memory, on what bench_efficientad.c left:

    time_efficientad.py EFFICIENTAD FOLDER IMAGES

EFFICIENTAD is a checkout of github.com/nelson1425/EfficientAD, FOLDER/detector a saved detector, whose weights the
public networks take, FOLDER/image the RGB bytes of 256 x 256 pixels, FOLDER/score what libimiad gave. PyTorch, eager, one thread,
everything that the code's test() does to an image that is in memory as Pillow's. Prints the least and the middle of the
processor's seconds, and how far the score differs; ends in 1 where that is more than 1e-3 of it.
"""
import os
import struct
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy
import PIL.Image
import torch

import peer_blas

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "golden"))
from compare_features import read_safetensors
from make_efficientad import load

checkout, folder, images = sys.argv[1], sys.argv[2], int(sys.argv[3])
peer_blas.require()
print(f"peer's convolutions: {'oneDNN' if torch.backends.mkldnn.is_available() else 'no oneDNN'}, "
      f"PyTorch {torch.__version__}", file=sys.stderr)
torch.set_num_threads(1)
common = load(checkout, "common")
sys.modules["common"] = common
program = load(checkout, "efficientad")
found = {name: torch.from_numpy(numpy.array(value)) for name, value in read_safetensors(folder + "/detector").items()}


def network(made, name):
    made.load_state_dict({key: found[f"{name}.{key}"] for key in made.state_dict()})
    return made.eval()


known = dict(teacher=network(common.get_pdn_small(384), "teacher"),
             student=network(common.get_pdn_small(768), "student"),
             autoencoder=network(common.get_autoencoder(384), "autoencoder"),
             teacher_mean=found["teacher.mean"], teacher_std=found["teacher.deviation"])
known.update(zip(("q_st_start", "q_st_end", "q_ae_start", "q_ae_end"), found["maps.quantiles"]))
with open(folder + "/image", "rb") as file:
    picture = PIL.Image.frombytes("RGB", (256, 256), file.read())
with open(folder + "/score", "rb") as file:
    wanted, = struct.unpack("f", file.read())


def verdict():
    image = program.default_transform(picture)[None]
    both = program.predict(image=image, **known)[0]
    both = torch.nn.functional.pad(both, (4, 4, 4, 4))
    both = torch.nn.functional.interpolate(both, (256, 256), mode="bilinear")
    return float(numpy.max(both[0, 0].numpy()))


seconds, score = [], 0
for _ in range(images):
    start = time.process_time()
    score = verdict()
    seconds.append(time.process_time() - start)
seconds.sort()
apart = abs(score - wanted) / abs(wanted)
print(seconds[0], seconds[len(seconds) // 2], apart)
sys.exit(apart > 1e-3)
