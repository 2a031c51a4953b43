"""The wheel: made of this build, installed by pip into a folder of its own, used from there."""
import os
import subprocess
import sys
import zipfile

from conftest import SOURCE

PROGRAM = """
import imiad
from imiad._library import lib
print(imiad.__file__, lib._name, imiad.metrics.auroc([0, 1], [0.1, 0.9]))
"""


def test_a_wheel_carries_the_library(tmp_path, run_python):
    made = subprocess.run([sys.executable, f"{SOURCE}/bindings/python/make_wheel.py",
                           os.environ["IMIAD_BUILD"], tmp_path], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()
    assert "-py3-none-linux_" in made
    names = zipfile.ZipFile(made).namelist()
    assert {"imiad/__init__.py", "imiad/_abi.py", "imiad/libimiad.so.0", "imiad/py.typed"} < set(names)
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target",
                    tmp_path / "here", made], check=True, env={**os.environ, "LD_PRELOAD": ""})
    status, output = run_python(PROGRAM, PYTHONPATH=str(tmp_path / "here"), IMIAD_LIBRARY="")
    assert status == 0, output
    module, library, auroc = output.split()
    assert module == str(tmp_path / "here" / "imiad" / "__init__.py")
    assert library == str(tmp_path / "here" / "imiad" / "libimiad.so.0") and auroc == "1.0"
    again = subprocess.run([sys.executable, f"{SOURCE}/bindings/python/make_wheel.py",
                            os.environ["IMIAD_BUILD"], tmp_path / "again"], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.strip()
    with open(made, "rb") as first, open(again, "rb") as second:
        assert first.read() == second.read()
