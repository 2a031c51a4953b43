"""The wheel: made of this build, installed by pip into a folder of its own, used from there."""
import json
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
    assert {"imiad/__init__.py", "imiad/_abi.py", "imiad/libimiad.so.0", "imiad/libimiad-torch.so.0",
            "imiad/py.typed"} < set(names)
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


def test_a_wheel_for_a_pytorch_requires_it_and_looks_beside_itself(tmp_path):
    """Of a build that was configured for the PyTorch of an environment: here a small library in its place."""
    torch = tmp_path / "a rather long way to" / "site-packages" / "torch"
    (torch / "lib").mkdir(parents=True)
    (torch / "version.py").write_text("from typing import Optional\n__version__ = '2.2.2+cu121'\n")
    build = tmp_path / "build"
    (build / "lib").mkdir(parents=True)
    (build / "meson-info").mkdir()
    (build / "meson-info" / "intro-buildoptions.json").write_text(
        json.dumps([{"name": "libtorch", "value": str(torch)}]))
    (build / "bindings").symlink_to(os.path.join(os.environ["IMIAD_BUILD"], "bindings"))
    for name, run_path in (("libimiad.so.0.1.0", "$ORIGIN"), ("libimiad-torch.so.0", f"{torch}/lib")):
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-x", "c", "/dev/null", "-o", build / "lib" / name,
                        f"-Wl,-rpath,{run_path}"], check=True, env={**os.environ, "LD_PRELOAD": ""})
    (build / "lib" / "libimiad.so.0").symlink_to("libimiad.so.0.1.0")
    make = [sys.executable, f"{SOURCE}/bindings/python/make_wheel.py", build, tmp_path]
    made = subprocess.run(make, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    assert os.path.basename(made).startswith("imiad-0.1.0+torch2.2.cu121-py3-none-linux_")
    with zipfile.ZipFile(made) as wheel:
        assert "Requires-Dist: torch ==2.2.*\n" in wheel.read("imiad-0.1.0+torch2.2.cu121.dist-info/METADATA").decode()
        wheel.extract("imiad/libimiad-torch.so.0", tmp_path)
    dynamic = subprocess.run(["readelf", "-d", tmp_path / "imiad" / "libimiad-torch.so.0"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    assert "[$ORIGIN/../torch/lib]" in dynamic and str(tmp_path) not in dynamic
    (torch / "version.py").write_text("")
    failed = subprocess.run(make, text=True, stderr=subprocess.PIPE)
    assert failed.returncode == 1 and "says no version of PyTorch" in failed.stderr
