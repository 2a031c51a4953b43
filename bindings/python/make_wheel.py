"""Makes a wheel of a build: the Python package with the library inside.

    python3 bindings/python/make_wheel.py BUILD FOLDER

writes FOLDER/imiad-VERSION-py3-none-PLATFORM.whl and prints its path. The tag: any Python 3, as ctypes
needs no ABI of Python's; this platform alone, as the library is a binary of this machine's C library and
needs its libtorch, which the wheel does not carry. Needs nothing beside Python.

A build with -Dlibtorch=.../site-packages/torch gives a wheel for that PyTorch: its version says which
(0.1.0+torch2.2), it requires that minor version of torch, and the library inside looks for libtorch in the
folder torch/lib beside its own package, wherever the environment is.
"""
import base64
import hashlib
import json
import os
import re
import stat
import sys
import sysconfig
import zipfile

METADATA = """Metadata-Version: 2.1
Name: imiad
Version: {version}
Summary: Industrial image anomaly detection: datasets, detectors, protocols, exact metrics
Requires-Python: >=3.9
Requires-Dist: numpy
{requires}"""
WHEEL = """Wheel-Version: 1.0
Generator: make_wheel
Root-Is-Purelib: false
Tag: {tag}
"""


def digest(data):
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


class Wheel:
    def __init__(self, path):
        self.archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self.record = []

    def add(self, name, data, mode=0o644):
        info = zipfile.ZipInfo(name)  # of 1980: the same build gives the same bytes
        info.external_attr = (stat.S_IFREG | mode) << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        self.archive.writestr(info, data)
        self.record.append(f"{name},{digest(data)},{len(data)}")

    def close(self, record):
        self.record.append(f"{record},,")
        self.archive.writestr(zipfile.ZipInfo(record), "\n".join(self.record) + "\n")
        self.archive.close()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def torch_of(build):
    """The folder of the PyTorch that a build was configured for; None for the system's libtorch."""
    with open(os.path.join(build, "meson-info", "intro-buildoptions.json"), encoding="utf-8") as file:
        options = {option["name"]: option["value"] for option in json.load(file)}
    return options["libtorch"] or None


def torch_version(folder):
    """(2.2, cu121) of 2.2.2+cu121."""
    with open(os.path.join(folder, "version.py"), encoding="utf-8") as file:
        version = re.search(r"^__version__\s*=\s*['\"](\d+\.\d+)[^+'\"]*\+?([\w.]*)['\"]", file.read(), re.M)
    if not version:
        sys.exit(f"{folder}/version.py says no version of PyTorch")
    return version[1], version[2]


def beside_torch(library, folder):
    """The file with its run path, a folder of this machine, made one beside its own. The linker wrote it as
    one text, whose place holds the shorter one as well."""
    old = os.path.join(folder, "lib").encode() + b"\0"
    new = b"$ORIGIN/../torch/lib\0"
    if library.count(b"\0" + old) != 1 or len(old) < len(new):
        sys.exit(f"libimiad-torch.so.0 has not the one run path {folder}/lib: configure it with -Dlibtorch=DIR, where "
                 f"DIR is the folder of PyTorch in site-packages")
    return library.replace(b"\0" + old, b"\0" + new.ljust(len(old), b"\0"))


def main():
    build, folder = sys.argv[1:]
    package = os.path.join(build, "bindings", "python", "imiad")
    library = os.path.join(build, "lib", "libimiad.so.0")
    full = os.path.basename(os.path.realpath(library))  # libimiad.so.VERSION
    version = re.fullmatch(r"libimiad\.so\.([\d.]+)", full)[1]
    torch, requires, data = torch_of(build), "", read(os.path.join(build, "lib", "libimiad-torch.so.0"))
    if torch:
        minor, local = torch_version(torch)
        requires = f"Requires-Dist: torch =={minor}.*\n"
        version += f"+torch{minor}" + (f".{local}" if local else "")
        data = beside_torch(data, torch)
    tag = "py3-none-" + re.sub(r"[-.]", "_", sysconfig.get_platform())
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"imiad-{version}-{tag}.whl")
    wheel, info = Wheel(path), f"imiad-{version}.dist-info"
    for name in sorted(os.listdir(package)):
        if name.endswith((".py", "py.typed")):
            wheel.add("imiad/" + name, read(os.path.join(package, name)))
    wheel.add("imiad/libimiad.so.0", read(library), 0o755)
    wheel.add("imiad/libimiad-torch.so.0", data, 0o755)
    wheel.add(info + "/METADATA", METADATA.format(version=version, requires=requires).encode())
    wheel.add(info + "/WHEEL", WHEEL.format(tag=tag).encode())
    wheel.close(info + "/RECORD")
    print(path)


if __name__ == "__main__":
    main()
