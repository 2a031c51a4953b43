"""Beside PyTorch in one process: one libtorch, or a refusal that says why."""
import os
import subprocess

import pytest

WORK = """
import numpy, {first}, {second}
d = imiad.Dataset("synthetic", size=64, train=2)
b = imiad.Backbone("resnet18")
r = imiad.Detector("patchcore", b, resize=64, crop=64).fit(d.split("fabric")).score(d.read_image(0))
x = torch.tensor(r.map, requires_grad=True)
(torch.nn.functional.conv2d(x[None, None], torch.ones(1, 1, 3, 3)) ** 2).sum().backward()
print(bool(torch.isfinite(x.grad).all()), r.score > 0)
"""


@pytest.mark.parametrize("first, second", [("torch", "imiad"), ("imiad", "torch")])
def test_the_pytorch_of_the_same_libtorch_works(run_python, first, second):
    status, output = run_python(WORK.format(first=first, second=second))
    assert (status, output) == (0, "True True\n")


ARRAYS = """
import imiad, numpy, torch
from imiad._images import given
class Bare:  # speaks DLPack and nothing else
    def __init__(self, tensor): self.tensor = tensor
    def __dlpack__(self, **options): return self.tensor.__dlpack__(**options)
    def __dlpack_device__(self): return self.tensor.__dlpack_device__()
image = imiad.Dataset("synthetic", size=64, train=2).read_image(0)
tensor = torch.from_dlpack(image)
print(tensor.data_ptr() == image.ctypes.data,
      [given(one).keep.ctypes.data == image.ctypes.data for one in (tensor, Bare(tensor))],
      imiad.metrics.auroc(Bare(torch.tensor([0, 1])), Bare(torch.tensor([0.2, 0.9]))))
"""


def test_arrays_and_tensors_are_the_same_memory(run_python):
    status, output = run_python(ARRAYS)
    assert (status, output) == (0, "True [True, True] 1.0\n")


@pytest.fixture
def other_torch(tmp_path):
    """A package torch with a libtorch of its own, of another version."""
    folder = tmp_path / "torch"
    (folder / "lib").mkdir(parents=True)
    library = folder / "lib" / "libtorch_cpu.so"
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-x", "c", "/dev/null", "-o", library,
                    "-Wl,-soname,libtorch_cpu.so"], check=True, env={**os.environ, "LD_PRELOAD": ""})
    (folder / "__init__.py").write_text(f"import ctypes\nctypes.CDLL({str(library)!r})\n"
                                        f"__version__ = '2.9.0'\n")
    return str(library)


def test_another_libtorch_is_refused_when_it_is_there_first(run_python, other_torch):
    status, output = run_python("import torch, imiad")
    assert status == 1 and "ImportError" in output and "Two copies of libtorch" in output
    assert other_torch in output


def test_another_libtorch_is_refused_when_it_comes_second(run_python, other_torch):
    status, output = run_python("import imiad, torch")
    assert status == 1 and "ImportError" in output and "Two copies of libtorch" in output
    assert other_torch in output


def test_another_version_of_the_same_library_is_refused(run_python, tmp_path):
    (tmp_path / "torch.py").write_text("__version__ = '2.9.0'\n")
    status, output = run_python("import torch, imiad")
    assert status == 1 and "PyTorch 2.9.0 is in this process" in output


def test_a_library_that_is_not_there(run_python):
    status, output = run_python("import imiad", IMIAD_LIBRARY="/dev/null/libimiad.so.0")
    assert status == 1 and "ImportError: libimiad cannot be loaded" in output
