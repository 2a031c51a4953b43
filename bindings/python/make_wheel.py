"""Makes a wheel of a build: the Python package with the library inside.

    python3 bindings/python/make_wheel.py BUILD FOLDER

writes FOLDER/imiad-VERSION-py3-none-PLATFORM.whl and prints its path. The tag: any Python 3, as ctypes
needs no ABI of Python's; this platform alone, as the library is a binary of this machine's C library and
needs its libtorch, which the wheel does not carry. Needs nothing beside Python.
"""
import base64
import hashlib
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
"""
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


def main():
    build, folder = sys.argv[1:]
    package = os.path.join(build, "bindings", "python", "imiad")
    library = os.path.join(build, "lib", "libimiad.so.0")
    full = os.path.basename(os.path.realpath(library))  # libimiad.so.VERSION
    version = re.fullmatch(r"libimiad\.so\.([\d.]+)", full)[1]
    tag = "py3-none-" + re.sub(r"[-.]", "_", sysconfig.get_platform())
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"imiad-{version}-{tag}.whl")
    wheel, info = Wheel(path), f"imiad-{version}.dist-info"
    for name in sorted(os.listdir(package)):
        if name.endswith((".py", "py.typed")):
            wheel.add("imiad/" + name, read(os.path.join(package, name)))
    wheel.add("imiad/libimiad.so.0", read(library), 0o755)
    wheel.add(info + "/METADATA", METADATA.format(version=version).encode())
    wheel.add(info + "/WHEEL", WHEEL.format(tag=tag).encode())
    wheel.close(info + "/RECORD")
    print(path)


if __name__ == "__main__":
    main()
