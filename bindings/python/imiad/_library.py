"""Finds libimiad, declares its functions and turns its statuses into exceptions."""
from __future__ import annotations

import ctypes
import importlib.machinery
import mmap
import os
import re
import signal
import sys
import threading
from enum import IntEnum
from typing import Any, Callable, Optional

from . import _abi
from ._use import Use, guarded


def _enumeration(name: str, c_name: str, prefix: str) -> Any:
    members = {key[len(prefix):]: value for key, value in _abi.ENUMS[c_name].items()}
    return IntEnum(name, members, module="imiad")


Status = _enumeration("Status", "imiad_status", "IMIAD_")
Status.__doc__ = "What a call of the library came to; the numbers are those of imiad/common.h."


class Error(Exception):
    """A call of the library failed.

    status: a Status, such as Status.NOT_FOUND
    message: what was tried, on which file or option, what was wrong
    """

    __module__ = "imiad"

    def __init__(self, status: int, message: str):
        known = status in Status._value2member_map_
        self.status = Status(status) if known else status
        self.message = message
        super().__init__(message, self.status)

    def __str__(self) -> str:
        return f"{self.message} ({getattr(self.status, 'name', self.status)})"


# ---- which file, and beside which PyTorch ----

def _find() -> str:
    """IMIAD_LIBRARY; the library inside of this package, as in a wheel; the system's."""
    given = os.environ.get("IMIAD_LIBRARY")
    if given:
        return given
    inside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libimiad.so.0")
    return inside if os.path.exists(inside) else "libimiad.so.0"


def _mapped(pattern: str) -> set[str]:
    """The files of that name that are in this process."""
    found = set()
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
            for line in maps:
                path = line.rstrip("\n").split(maxsplit=5)[-1]
                if re.match(pattern, os.path.basename(path)):
                    found.add(os.path.realpath(path))
    except OSError:
        pass
    return found


def _mapped_libtorch() -> set[str]:
    return _mapped(r"libtorch_cpu\.so")


def _torch_file(library: str) -> Optional[str]:
    """The file beside the loaded library that is linked with libtorch; None where it is elsewhere."""
    found = {os.path.realpath(library)} if os.path.exists(library) else _mapped(r"libimiad\.so")
    beside = os.path.join(os.path.dirname(found.pop()), "libimiad-torch.so.0") if found else ""
    return beside if os.path.exists(beside) else None


def _needed_libtorch(path: Optional[str]) -> Optional[str]:
    """The name by which a file asks the dynamic linker for libtorch; None where it is unknown."""
    try:
        with open(path or "", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            name = re.search(rb"\0(libtorch_cpu\.so[.0-9]*)\0", data)
            return name[1].decode() if name else None
    except (OSError, ValueError):
        return None


def _is_loaded(name: str) -> bool:
    try:
        ctypes.CDLL(name, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        return True
    except OSError:
        return False


_ADVICE = ("Two copies of libtorch in one process crash. Use the PyTorch that belongs to libimiad's "
           "libtorch (Debian: python3-torch), build libimiad with -Dlibtorch=DIR against the PyTorch "
           "you use, or put the two into separate processes")


def _refuse_second_libtorch(path: Optional[str]) -> None:
    """Before libtorch is loaded: the one that is here already must be the one that libimiad asks for."""
    mapped, needed = _mapped_libtorch(), _needed_libtorch(path)
    if mapped and needed and not _is_loaded(needed):
        raise ImportError(f"libimiad ({path}) needs {needed}, but another libtorch is in this process "
                          f"already: {', '.join(sorted(mapped))}. {_ADVICE}.")


def _load_torch_of_environment(path: Optional[str]) -> None:
    """A wheel for PyTorch looks for it in the folder beside its own. Where the environment keeps it elsewhere
    (another site-packages, a .pth file), its libraries are loaded first, and then stand for those."""
    inside = os.path.dirname(os.path.abspath(__file__))
    if not path or os.path.dirname(path) != inside or _needed_libtorch(path) != "libtorch_cpu.so" or _mapped_libtorch():
        return
    beside = os.path.join(os.path.dirname(inside), "torch", "lib", "libtorch_cpu.so")
    spec = importlib.machinery.PathFinder.find_spec("torch")
    if os.path.exists(beside) or spec is None or not spec.origin:
        return
    folder = os.path.join(os.path.dirname(spec.origin), "lib")
    for name in ("libc10.so", "libtorch_cpu.so", "libtorch_cuda.so"):
        if os.path.exists(os.path.join(folder, name)):
            ctypes.CDLL(os.path.join(folder, name))


class _TorchWatch:
    """After loading: PyTorch may be imported if it would share our libtorch."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name != "torch":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or not spec.origin:
            return None
        its = os.path.join(os.path.dirname(spec.origin), "lib", "libtorch_cpu.so")
        ours = _mapped_libtorch()
        if os.path.exists(its) and ours and os.path.realpath(its) not in ours:
            raise ImportError(f"PyTorch would load {os.path.realpath(its)}, but libimiad has loaded "
                              f"another libtorch: {', '.join(sorted(ours))}. {_ADVICE}.")
        return None


def _refuse_other_version(library: ctypes.CDLL) -> None:
    """One libtorch, but is it the one whose headers libimiad was compiled with?"""
    torch = sys.modules.get("torch")
    ours = library.imiad_torch_version().decode()
    its = str(getattr(torch, "__version__", ours))
    if its.split(".")[:2] != ours.split(".")[:2]:
        raise ImportError(f"libimiad was built for libtorch {ours}, but PyTorch {its} is in this "
                          f"process. {_ADVICE}.")


def _load_torch(library: ctypes.CDLL, path: str) -> None:
    """Now, so that whether the two go together is told by `import imiad` or `import torch`, not in between."""
    file = _torch_file(path)
    _refuse_second_libtorch(file)
    try:
        _load_torch_of_environment(file)
    except OSError:
        pass  # what is missing is told by the next line
    if library.imiad_torch_load() != 0:
        problem = library.imiad_last_error().decode("utf-8", "replace")
        raise ImportError(f"libimiad cannot be used: {problem}. Its libtorch must be where the dynamic linker looks "
                          f"(Debian: libtorch1.13; a wheel for PyTorch: install the PyTorch that it requires)")


class Library:
    """The functions of the library by their names."""

    def __init__(self, functions: dict[str, Any]):
        self.__dict__.update(functions)

    def __getattr__(self, name: str) -> Any:  # asked only for what is not there
        raise AttributeError(f"libimiad has no {name}")


def _load() -> Library:
    path = _find()
    try:
        library = ctypes.CDLL(path)
    except OSError as problem:
        raise ImportError(f"libimiad cannot be loaded: {problem}. IMIAD_LIBRARY names its file") from None
    functions: dict[str, Any] = {"_name": path}  # as ctypes calls the file of a library
    for name, (result, arguments) in _abi.FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise ImportError(f"{path} lacks {name}: it is older than this package") from None
        function.restype, function.argtypes = result, arguments
        if name in _abi.CHECKED and name != "imiad_fail":
            function.errcheck = _check
        functions[name] = guarded(function, Handle, name in _abi.READING)
    _load_torch(library, path)
    _refuse_other_version(library)
    sys.meta_path.insert(0, _TorchWatch())
    return Library(functions)


_raised = threading.local()  # what a function that the library called raised in this thread


def _check(status: int, function: Any, arguments: Any) -> int:
    problem, _raised.problem = getattr(_raised, "problem", None), None
    if status != 0:
        if problem is not None:
            raise problem
        raise Error(status, lib.imiad_last_error().decode("utf-8", "replace"))
    return status


# ---- what all wrappers need ----

def text(value: Optional[bytes]) -> str:
    return (value or b"").decode("utf-8", "replace")


def name_of(value: Any) -> bytes:
    """A name, a path or other text on its way to the library."""
    name = os.fsencode(value)
    if b"\0" in name:
        raise ValueError(f"there is a NUL in {value!r}")
    return name


def chosen(what: str, value: Any, words: Any) -> Any:
    """What one of a few words stands for; a word that there is not is told with those that there are."""
    if value not in words:
        raise ValueError(f"{what} is {value!r}: it must be one of {', '.join(words)}")
    return words[value]


def made(structure: type) -> Any:
    """An empty structure that says its size, for those that do."""
    out = structure()
    if structure._fields_[0][0] == "struct_size":
        out.struct_size = ctypes.sizeof(structure)
    return out


def record(kind: Any, structure: Any, **others: Any) -> Any:
    """A named tuple of the members of the same names."""
    values = {}
    for field in kind._fields:
        if field not in others:
            value = getattr(structure, field)
            values[field] = text(value) if isinstance(value, bytes) else value
    return kind(**values, **others)


_SHARED = {"imiad_dataset_free", "imiad_split_free", "imiad_backbone_free"}  # they never change


class Handle:
    """Owns one handle of the library; a context manager. Threads may share it: a call waits until the
    handle is free, and so does `close`."""

    _free = ""

    def __init__(self, pointer: ctypes.c_void_p):
        self._pointer: Optional[int] = pointer.value
        self._use = Use(self._free in _SHARED)

    @property
    def _as_parameter_(self) -> ctypes.c_void_p:
        if not self._pointer:
            raise ValueError(f"this {type(self).__name__} is closed")
        return ctypes.c_void_p(self._pointer)

    def close(self) -> None:
        """Gives the handle back; what it still serves, such as a split's dataset, lives on. Waits until
        other threads' calls have returned; inside a callback of such a call it is a RuntimeError."""
        with self._use.alone(type(self).__name__):
            self._give_back()

    def _give_back(self) -> None:
        pointer, self._pointer = getattr(self, "_pointer", None), None
        if pointer:
            getattr(lib, self._free)(pointer)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        self._give_back()  # nobody refers to it, so nobody uses it

    def _refuse_copy(self, *_: Any) -> Any:
        """A copy would own the same handle; in another process it would be an address of nothing."""
        raise TypeError(f"a {type(self).__name__} is a handle of this process, which cannot be copied or "
                        f"pickled: use save and load, or a detector's clone for another thread")

    __copy__ = __deepcopy__ = __reduce_ex__ = _refuse_copy

    def __repr__(self) -> str:
        words = self._described() if getattr(self, "_pointer", None) else "closed"
        return f"<imiad.{type(self).__name__} {words}>"

    def _described(self) -> str:
        """What tells one object from another, in a few words."""
        return f"at {self._pointer:#x}"


lib = _load()


def failing(work: Callable[..., Any]) -> Callable[..., int]:
    """A function for the library to call: an exception becomes a failure there, and itself again where
    the call of the library ends, if that is in the same thread."""
    def call(*arguments: Any) -> int:
        try:
            work(*arguments)
            return 0
        except BaseException as problem:  # carried over to the caller, whatever it is
            _raised.problem = problem
            known = isinstance(problem, Error)
            status = problem.status if known else Status.INVALID_ARGUMENT
            words = problem.message if known else f"{type(problem).__name__}: {problem}"
            return lib.imiad_fail(int(status), words.encode("utf-8", "replace"))
    return call


Progress = Callable[[str, int, int], Any]
"""progress(stage, done, total), called now and then; an exception stops the work and is passed on."""


class Guard:
    """Carries exceptions of callbacks, and Ctrl-C, over a call of the library."""

    def __init__(self) -> None:
        self.error: Optional[BaseException] = None
        self._keep: list[Any] = []

    def __enter__(self) -> "Guard":
        # an interrupt between C and a callback's first line would be lost: note it instead
        self._interrupt = None
        if (threading.current_thread() is threading.main_thread()
                and signal.getsignal(signal.SIGINT) is signal.default_int_handler):
            self._interrupt = signal.signal(signal.SIGINT, self._note_interrupt)
        return self

    def _note_interrupt(self, *_: Any) -> None:
        self.error = KeyboardInterrupt()

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if self._interrupt is not None:
            signal.signal(signal.SIGINT, self._interrupt)
        if self.error is not None:
            raise self.error from None

    def callback(self, prototype: Any, function: Callable[..., Any], stop: int) -> Any:
        """A C function that calls this one; `stop` is what it returns once something was raised."""
        def enter(*arguments: Any) -> int:
            if self.error is not None:
                return stop
            try:
                return function(*arguments) or 0
            except BaseException as problem:  # carried over to the caller, whatever it is
                self.error = problem
                return stop
        pointer = prototype(enter)
        self._keep.append(pointer)
        return pointer

    def progress(self, function: Optional[Progress]) -> Any:
        def show(_: Any, at: Any) -> int:
            if function:
                function(text(at.contents.stage), at.contents.done, at.contents.total)
            return 1 if self.error is not None else 0
        return self.callback(_abi.imiad_progress_function, show, 1)
