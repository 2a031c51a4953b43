"""Calls every public function wrongly, and with every one of its allocations failing. The calls are made
from the headers: a function that is added there is called here.

    every_call.py null LIBRARY HEADERS              each pointer NULL, then all of them
    every_call.py memory LIBRARY HEADERS [MOST]     each allocation fails once (the first MOST of a call)

For `memory` the program runs with fail_allocations.so loaded before everything (LD_PRELOAD). Each function is
called in a process of its own, so that a crash is a line of the report. Ends in a line of figures; exits 1 where
anything went wrong.
"""
import ctypes as c
import io
import os
import re
import shutil
import signal
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../../bindings/python"))
from make_abi import Headers, result_kind, split_outside  # noqa: E402

OK, NO_MEMORY = 0, -30


# ---- the headers ----

def read_headers(folder):
    with open(os.path.join(folder, "imiad.h"), encoding="utf-8") as file:
        names = [line.split('"')[1].split("/")[1] for line in file if line.startswith("#include")]
    text = ""
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            text += file.read()
    return Headers(text)


class Parameter:
    def __init__(self, text, kind):
        match = re.fullmatch(r"(.*?)(\w+)\s*(\[[^\]]*\])?", text.strip())
        self.type, self.name, self.kind = match[1].strip(), match[2], kind
        self.is_pointer = "*" in self.type or bool(match[3]) or self.type.endswith("_function")
        words = re.sub(r"\b(const|struct)\b|\*", " ", self.type).split()
        self.base, self.stars = words[0], self.type.count("*")


class Function:
    def __init__(self, headers, space, result, name, arguments):
        self.name = name
        self.checked = result.strip() == "imiad_status"
        texts = [a for a in split_outside(arguments, ",") if a.strip() not in ("void", "")]
        kinds = headers.arguments(arguments)
        self.parameters = [Parameter(text, eval(kind, space)) for text, kind in zip(texts, kinds)]
        self.result = eval(result_kind(headers, result), space)


def functions_of(headers):
    out = io.StringIO()
    headers.write(out)
    space = {}
    exec(out.getvalue(), space)
    found = re.findall(r"\bIMIAD_API ([^;(]*?)(\w+) ?\(([^;]*?)\) ?;", headers.text)
    return space, [Function(headers, space, *f) for f in found]


# ---- arguments that make sense ----

class Fixture:
    """What calls need: handles, files, structures. Everything it made is kept alive."""

    def __init__(self, library, space, scratch):
        self.library, self.space, self.scratch, self.kept, self.handles = library, space, scratch, [], {}
        library.imiad_set_threads(1)
        self.make()

    def keep(self, thing):
        self.kept.append(thing)
        return thing

    def path(self, name):
        return os.path.join(self.scratch, name).encode()

    def made(self, name, *arguments):
        out = c.c_void_p()
        status = getattr(self.library, name)(c.byref(out), *arguments)
        if status != OK:
            raise SystemExit(f"{name}: {self.error()}")
        return out

    def error(self):
        self.library.imiad_last_error.restype = c.c_char_p
        return self.library.imiad_last_error().decode(errors="replace")

    def struct(self, name, **fields):
        value = self.keep(self.space[name]())
        if hasattr(value, "struct_size"):
            value.struct_size = c.sizeof(value)
        for key, one in fields.items():
            setattr(value, key, one)
        return value

    def options(self, **values):
        array = self.keep((self.space["imiad_option"] * len(values))())
        for i, (name, value) in enumerate(values.items()):
            array[i].name, array[i].value = name.encode(), value.encode()
        return array

    def ok(self, status, doing):
        if status != OK:
            raise SystemExit(f"{doing}: {self.error()}")

    def make(self):
        lib, size = self.library, c.c_size_t
        small = self.options(train="4", size="32", test_good="1", test_defective="1", categories="hex_nut")
        self.handles["imiad_dataset"] = data = self.made("imiad_dataset_open", b"synthetic", None, small, size(5))
        self.handles["imiad_split"] = split = self.made(
            "imiad_split_create", data, b"hex_nut", b"unsupervised", None, size(0))
        self.handles["imiad_backbone"] = network = self.made("imiad_backbone_create", b"resnet18", None)
        own = self.options(resize="32", crop="32", layers="layer1", coreset_ratio="0.05")
        self.handles["imiad_detector"] = detector = self.made(
            "imiad_detector_create", b"patchcore", network, own, size(4))
        self.ok(lib.imiad_detector_fit(detector, split, None, None), "fit")
        scores, labels = self.keep((c.c_float * 8)(*range(8))), self.keep((c.c_int32 * 8)(*[0] * 8))
        self.ok(lib.imiad_detector_calibrate(detector, scores, labels, scores, size(8), b"made up", None), "calibrate")
        self.ok(lib.imiad_detector_save(detector, self.path("x.imiad")), "save")
        self.handles["imiad_image"] = image = self.made("imiad_image_create", 1, 32, 32)
        self.ok(lib.imiad_image_write_png(image, self.path("x.png")), "png")
        self.handles["imiad_bank"] = bank = self.made("imiad_bank_create", c.c_int64(16), c.c_uint64(0))
        self.numbers = self.keep((c.c_float * 65536)(*[(i * 7919 % 1000) / 1000 for i in range(65536)]))
        self.ok(lib.imiad_bank_add(bank, self.numbers, c.c_int64(64)), "bank")
        self.ok(lib.imiad_bank_save(bank, self.path("x.bank")), "bank save")
        self.handles["imiad_bank_stream"] = stream = self.made(
            "imiad_bank_stream_create", c.c_int64(16), c.byref(self.stream_options()))
        self.ok(lib.imiad_bank_stream_add(stream, self.numbers, c.c_int64(64), None), "bank stream")
        self.ok(lib.imiad_split_write(split, self.path("x.split")), "split")
        self.handles["imiad_results"] = results = self.made("imiad_results_open", self.path("x.sqlite"))
        self.cell = self.struct("imiad_cell")
        self.ok(lib.imiad_results_describe(c.byref(self.cell), results, split, detector), "describe")
        self.names = self.keep((c.c_char_p * 2)(b"image_auroc", b"aupro"))
        values = self.keep((c.c_double * 2)(0.5, 0.25))
        self.ok(lib.imiad_results_put(results, c.byref(self.cell), self.names, values, size(2)), "put")
        self.handles["imiad_metrics"] = metrics = self.made("imiad_metrics_create", None, size(0))
        self.handles["imiad_spro"] = self.made("imiad_spro_create", None, size(0))
        for i in range(4):
            lib.imiad_metrics_add_image(metrics, i % 2, c.c_double(i))
            lib.imiad_metrics_add_map(metrics, self.numbers, 32, 32, image if i % 2 == 0 else self.mask())
        self.handles["imiad_regions"] = self.made("imiad_regions_find", self.numbers, 32, 32, c.c_double(0.9), None)

    def stream_options(self):
        return self.struct("imiad_bank_stream_options", storage=1, rows=8, block_rows=16)

    def mask(self):
        mask = self.made("imiad_image_create", 1, 32, 32)
        view = self.space["imiad_image"].from_address(mask.value)
        c.memset(view.pixels, 255, 32 * 8)
        return mask


NUMBERS = {"width": 32, "height": 32, "side": 16, "overlap": 0.0, "format": 1, "threads": 1, "dimension": 16, "k": 2,
           "storage": 1, "ratio": 0.1, "rows": 64, "limit": 0.3, "steps": 10, "tasks": 2, "threshold": 0.5,
           "image": 0, "capacity": 65536, "sensitivity": 0, "kind": 1, "status": -10, "level": 20}
TEXTS = {"architecture": b"resnet18", "setting": b"unsupervised", "category": b"hex_nut", "layer": b"layer1",
         "device": b"cpu", "root": None, "message": b"made up", "text": b"../x", "source": b"made up"}
PATHS = {"imiad_image_read": "x.png", "imiad_bank_load": "x.bank", "imiad_bank_map": "x.bank",
         "imiad_detector_load": "x.imiad", "imiad_split_read": "x.split", "imiad_results_open": "x.sqlite",
         "imiad_results_open_to_read": "x.sqlite", "imiad_plugin_load": "none.so"}
NAMES = {"imiad_dataset_open": b"synthetic", "imiad_dataset_option_info": b"synthetic",
         "imiad_detector_create": b"patchcore", "imiad_detector_option_info": b"patchcore",
         "imiad_setting_option_info": b"noisy", "imiad_dataset_option": b"size", "imiad_detector_option": b"layers",
         "imiad_split_option": b"seed", "imiad_dataset_from_images": b"mine"}


def special(f, function, p):
    """Arguments that only make sense together; NotImplemented for others."""
    name, lib = function.name, f.space
    if name == "imiad_file_name" and p.name == "out":
        return f.keep(c.create_string_buffer(256))
    if p.base == "imiad_option" and p.name == "options":
        if name == "imiad_dataset_open":
            return f.options(size="32", train="4")
        if name == "imiad_detector_create":
            return f.options(layers="layer1", coreset_ratio="0.01")
        return None
    if p.name == "option_count":
        return 2 if name in ("imiad_dataset_open", "imiad_detector_create") else 0
    if p.base == "imiad_image" and p.stars == 2 and p.name == "images":
        return f.keep((c.c_void_p * 1)(f.handles["imiad_image"].value))
    if name in ("imiad_detector_fit_images", "imiad_detector_score_batch", "imiad_dataset_from_images") and p.name == "count":
        return 1
    if p.base == "imiad_float_pixels":
        return c.byref(f.struct("imiad_float_pixels", **float_pixels(f)))
    if p.base == "imiad_memory_sample":
        image = c.cast(f.handles["imiad_image"], c.POINTER(lib["imiad_image"]))
        return c.byref(f.struct("imiad_memory_sample", image=image))
    if p.base == "imiad_cell":
        return c.byref(f.cell)
    if p.type.endswith("_function"):
        if "progress" in p.type or p.type == "imiad_log_function":
            return None
        return f.keep(f.space[p.type](lambda *a: 0))
    if name == "imiad_results_put" and p.name == "names" or name == "imiad_results_write_points" and p.name == "names":
        return f.names
    if name in ("imiad_results_put", "imiad_results_write_points") and p.name == "count":
        return 2
    if name == "imiad_results_merge":
        if p.name == "paths":
            return f.keep((c.c_char_p * 1)(f.path("x.sqlite")))
        if p.name == "count":
            return 1
    if name == "imiad_metrics_add_map" and p.name == "mask":
        return f.handles["imiad_image"]
    if name == "imiad_detector_set_calibration" and p.name == "calibration":
        found = f.struct("imiad_calibration")
        f.library.imiad_detector_calibration(c.byref(found), f.handles["imiad_detector"])
        return c.byref(found)
    if name == "imiad_bank_recompress" and p.base == "imiad_recompression":
        return c.byref(f.struct("imiad_recompression", dimension=16, storage=2))
    if p.base == "imiad_bank_stream_options":
        return c.byref(f.stream_options())
    if name == "imiad_batches_progress":
        return None
    return NotImplemented


def float_pixels(f):
    known = dict(f.space["imiad_float_pixels"]._fields_)
    values = {"width": 32, "height": 32, "channels": 1, "low": 0.0, "high": 1.0,
              "values": c.cast(f.numbers, c.c_void_p), "pixels": c.cast(f.numbers, c.c_void_p)}
    return {key: value for key, value in values.items() if key in known}


OPTIONAL = ("_options", "imiad_results_filter", "imiad_limits")


def argument(f, function, p):
    value = special(f, function, p)
    if value is not NotImplemented:
        return value
    if not p.is_pointer:
        if p.name in NUMBERS:
            return NUMBERS[p.name]
        return 4 if p.name == "count" else 0
    if p.base == "char" and p.stars == 1 and not p.type.startswith("char"):
        if p.name == "path" or p.name == "folder":
            return f.path(PATHS.get(function.name, f"out-{function.name}"))
        if p.name == "name":
            return NAMES.get(function.name, b"x")
        return TEXTS.get(p.name, b"x")
    if p.stars == 2 and p.name == "out":
        return c.byref(f.keep(c.c_void_p()))
    if p.base in f.handles and not (p.base == "imiad_image" and p.name == "out"):
        return f.handles[p.base]
    if p.base in f.space["STRUCTS"]:
        return None if p.base.endswith(OPTIONAL) else c.byref(f.struct(p.base))
    if p.base.startswith("imiad_"):
        return None  # handles that only callbacks get
    if p.name == "user" or p.name.endswith("_user"):
        return None
    if p.base == "float":
        return f.numbers
    if p.base == "double" and p.name == "matrix":
        return f.keep((c.c_double * 4)(0.9, 0.8, 0.7, 0.6))
    return f.keep(c.create_string_buffer(1 << 19))


def prepare(library, function):
    call = getattr(library, function.name)
    call.restype = function.result
    call.argtypes = None
    return call


def plain(value, p):
    """As ctypes passes it without knowing the prototype."""
    if value is None:
        return c.c_void_p()
    if isinstance(value, (int, float)) and not p.is_pointer:
        return p.kind(value) if p.kind is not c.c_float else c.c_float(value)
    return value


# ---- one function in a process of its own ----

def in_child(work, seconds):
    """What `work` says, or how its process ended."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        signal.alarm(seconds)
        try:
            text = work(lambda note: os.write(write, (note + "\n").encode()))
        except BaseException as error:  # noqa: B902: whatever it is, it is told
            text = f"BAD {type(error).__name__}: {error}"
        os.write(write, (text + "\n").encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, errors="replace") as pipe:
        lines = pipe.read().split("\n")
    status = os.waitpid(child, 0)[1]
    last = lines[-2] if len(lines) > 1 else ""
    if os.WIFSIGNALED(status):
        return f"BAD ended by signal {os.WTERMSIG(status)} in {last}"
    return last


NO_HANDLE = ("imiad_batches_", "imiad_batch_", "imiad_blocks_", "imiad_listing_")


def call_with_nulls(f, function):
    pointers = [i for i, p in enumerate(function.parameters) if p.is_pointer]
    cases = [{i} for i in pointers] + ([set(pointers)] if len(pointers) > 1 else [])

    def work(note):
        call = prepare(f.library, function)
        for case in cases:
            note(", ".join(function.parameters[i].name for i in sorted(case)) + " NULL")
            values = [None if i in case else argument(f, function, p) for i, p in enumerate(function.parameters)]
            call(*[plain(v, p) for v, p in zip(values, function.parameters)])
        return f"FINE {len(cases)}"
    return in_child(work, 60)


class Failing:
    """fail_allocations.so, which is loaded before everything."""

    def __init__(self):
        whole = c.CDLL(None)
        self.at, self.seen, self.live = (c.c_long.in_dll(whole, f"fail_{n}") for n in ("at", "seen", "live"))
        whole.fail_find(b"libimiad:libjansson:libsqlite3")


def options_of(f, function, out):
    """The values of a new handle's options: none may silently be another."""
    kinds = {"imiad_detector_create": ("detector", b"patchcore"), "imiad_detector_load": ("detector", b"patchcore"),
             "imiad_dataset_open": ("dataset", b"synthetic"), "imiad_split_create": ("setting", b"unsupervised")}
    if function.name not in kinds or not out:
        return None
    kind, name = kinds[function.name]
    ask = getattr(f.library, f"imiad_{'split' if kind == 'setting' else kind}_option")
    ask.restype = c.c_char_p
    info, found = f.struct("imiad_option_info"), []
    while getattr(f.library, f"imiad_{kind}_option_info")(c.byref(info), name, c.c_size_t(len(found))) == OK:
        found.append(ask(c.c_void_p(out), info.name))
    return found


class Call:
    """The same call again and again, with new arguments each time."""

    def __init__(self, f, function):
        self.f, self.function, self.call = f, function, prepare(f.library, function)

    def arguments(self):
        return [plain(argument(self.f, self.function, p), p) for p in self.function.parameters]

    def make(self, values, failing=None, at=0):
        """Status, options of what was made, and how many blocks stay when that is freed."""
        before = failing.live.value if failing else 0
        if failing:
            failing.seen.value, failing.at.value = 0, at
        status = self.call(*values)
        if failing:
            failing.at.value = 0
        first = self.function.parameters[0] if self.function.parameters else None
        out, options = None, None
        if first and first.name == "out" and first.stars == 2 and not first.type.startswith("const"):
            out = values[0]._obj.value
            options = options_of(self.f, self.function, out)
            if out:
                getattr(self.f.library, first.base + "_free")(c.c_void_p(out))
        return status, options, (failing.live.value - before) if failing else 0


CHANGE = ("_add", "_put", "_merge", "_forget", "_keep", "_register", "_fit", "_calibrat", "_recompress", "_evaluate",
          "_set_")


def clear(f, function):
    path = f.path(f"out-{function.name}").decode()
    if os.path.isdir(path):
        shutil.rmtree(path)


def fail_allocations(f, function, failing, most):
    def work(note):
        call = Call(f, function)
        note("its first call")
        clear(f, function)
        status, options, _ = call.make(call.arguments())
        if status != OK:
            return f"PASSED OVER {status} {f.error()}"
        clear(f, function)
        call.make(call.arguments())
        count = 0
        for n in range(1, most + 1):
            clear(f, function)
            note(f"allocation {n}")
            values = call.arguments()
            status, found, left = call.make(values, failing, n)
            if failing.seen.value < n:
                break
            count = n
            if status not in (OK, NO_MEMORY):
                return f"BAD allocation {n}: status {status}, {f.error()}"
            if status == OK and found != options:
                return f"BAD allocation {n}: IMIAD_OK with other options: {found}"
            if left > 0 and status != OK and not any(word in function.name for word in CHANGE):
                said = f.error()  # a cache of the handle's may grow once, not each time
                if all(call.make(call.arguments(), failing, n)[2] > 0 for _ in range(3)):
                    return f"BAD allocation {n}: {left} blocks are left behind ({said})"
        clear(f, function)
        status = call.make(call.arguments())[0]
        if status != OK and not any(word in function.name for word in CHANGE):
            return f"BAD the next call gives {status}: {f.error()}"
        return f"FINE {count}"
    return in_child(work, 240)


def main():
    mode, path, headers = sys.argv[1:4]
    most = int(sys.argv[4]) if len(sys.argv) > 4 else 10 ** 6
    space, functions = functions_of(read_headers(headers))
    library = c.CDLL(path)
    failing = Failing() if mode == "memory" else None
    scratch = tempfile.mkdtemp(prefix="imiad-calls-")
    calls = bad = over = 0
    try:
        fixture = Fixture(library, space, scratch)
        for function in functions:
            if function.name.startswith(NO_HANDLE) or function.name.endswith("_free") and mode == "memory":
                continue
            if mode == "memory" and not function.checked:
                continue
            if mode == "null":
                said = call_with_nulls(fixture, function)
            else:
                said = fail_allocations(fixture, function, failing, most)
            if said.startswith("FINE"):
                calls += int(said.split()[1])
            elif said.startswith("PASSED OVER"):
                over += 1
                print(f"{function.name}: {said.lower()}", flush=True)
            else:
                bad += 1
                print(f"{function.name}: {said}", flush=True)
    finally:
        shutil.rmtree(scratch)
    print(f"every_call {mode}: {len(functions)} functions, {calls} wrong calls or failed allocations, "
          f"{over} passed over, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
