"""What torch_wheel.sh runs in a fresh environment: torch_wheel.py "torch, imiad", or the other order."""
import importlib
import sys

for name in sys.argv[1].split(", "):
    globals()[name] = importlib.import_module(name)
import numpy as np
from imiad._images import given
from imiad._library import _mapped_libtorch, lib

assert "site-packages" in lib._name, lib._name
assert len(_mapped_libtorch()) == 1, _mapped_libtorch()
assert imiad.torch_version.split(".")[:2] == torch.__version__.split(".")[:2]

dataset = imiad.Dataset("synthetic", size=64, train=4, test_good=3, test_defective=4)
split = dataset.split("hex_nut")
backbone = imiad.Backbone("resnet18")
detector = imiad.detectors.patchcore(backbone, resize=64, crop=64).fit(split)
image = dataset.read_image(split.test[0])
result = detector.score(image)
assert np.isfinite(result.score) and result.map.shape == (64, 64)

# an array of the library as a tensor, and back, is the same memory
tensor = torch.from_dlpack(result.map)
assert tensor.data_ptr() == result.map.ctypes.data and tensor.dtype == torch.float32
tensor[0, 0] = 7
assert result.map[0, 0] == 7
pixels = torch.from_dlpack(image)
assert pixels.data_ptr() == image.ctypes.data and tuple(pixels.shape) == image.shape

# a tensor goes in as it lies, one that speaks DLPack alone too
class Bare:
    def __init__(self, tensor):
        self.tensor = tensor

    def __dlpack__(self, **options):
        return self.tensor.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()

for given_one in (pixels, Bare(pixels)):
    assert given(given_one).keep.ctypes.data == image.ctypes.data
    assert detector.score(given_one).score == detector.score(image).score
masks = torch.zeros((2, 8, 8), dtype=torch.uint8)
masks[1, 2:4] = 1
maps = torch.rand((2, 8, 8))
assert imiad.metrics.auroc(masks, maps) == imiad.metrics.auroc(masks.numpy(), maps.numpy())

# PyTorch still computes, gradients too
weight = torch.ones(1, 1, 3, 3, requires_grad=True)
(torch.nn.functional.conv2d(tensor[None, None].clone(), weight) ** 2).sum().backward()
assert bool(torch.isfinite(weight.grad).all())
