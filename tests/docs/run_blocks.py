"""Compiles and runs every code block of README.md and docs/.

    run_blocks.py SOURCE BUILD LIBRARY SANITIZERS [PAGE...]

A block in c, cpp, python, sh or cmake is a whole program unless a comment before it says otherwise:

    <!-- block: in NAME -->            it stands in tests/docs/frames/NAME at the line @BLOCK@
    <!-- block: after -->              it goes on where the last block of its language ended
    <!-- block: with A B -->           the program's arguments
    <!-- block: file NAME -->          it is also left in the folder under this name
    <!-- block: inside -->             C against the library's own headers: compiled, not run
    <!-- block: inside run -->         the same, a whole program: linked with the library's inside, and run
    <!-- block: not run: WHY -->       for what a test cannot do

Several go into one comment with semicolons between. The blocks of a page run in order in a folder of their
own, so that one can use what an earlier one left. In that folder
    build/             the build folder; its programs at the size of the data: small network, small images
    bindings/          that of the sources
    data/              what /data stands for in the pages: procedural images in MVTec AD's layout
    *.pth              random weights; they stand in for the default weights, which tests do not fetch
    parts/, part.png   somebody's own images: train/good, test/good, test/KIND
and pkg-config, CMake, the dynamic linker and PATH find an installation of the library and its programs.
"""
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

FENCE = re.compile(r"^```(\w*)\s*$")
DIRECTIVE = re.compile(r"^<!-- block: (.*) -->$")
SUFFIXES = {"c": ".c", "cpp": ".cpp", "python": ".py", "sh": ".sh", "cmake": ".cmake"}
WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wshadow", "-Werror"]
PROGRAMS = "unsupervised supervised fewshot noisy continual transfer efficiency".split()
# the published command lines, at the size of a test: the last option given counts
WRAPPER = """#!/bin/sh
for word; do case $word in
--describe|--list-*|--help|--version) exec {program} "$@" ;;
dinomaly) exec {program} "$@" --set resize=64 --set crop=64 ;; # takes a transformer, which the page names
esac; done
exec {program} "$@" --backbone resnet18 --set resize=64 --set crop=64
"""


def random_weights(path):
    """A file of weights for ResNet-18 as torchvision names them; of NumPy and in safetensors, as not every
    place where blocks run has PyTorch. Readers know a file by its content."""
    import numpy as np

    random = np.random.default_rng(0)
    state = {}

    def convolution(name, n, m, k):
        state[name + ".weight"] = random.standard_normal((n, m, k, k)) * (2 / (m * k * k)) ** 0.5

    def norm(name, n):
        for key, value in [("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)]:
            state[f"{name}.{key}"] = np.full(n, value)

    convolution("conv1", 64, 3, 7)
    norm("bn1", 64)
    before = 64
    for i, n in enumerate([64, 128, 256, 512], 1):
        for j, m in enumerate([before, n]):
            at = f"layer{i}.{j}."
            for k, inputs in [(1, m), (2, n)]:
                convolution(f"{at}conv{k}", n, inputs, 3)
                norm(f"{at}bn{k}", n)
            if m != n:
                convolution(at + "downsample.0", n, m, 1)
                norm(at + "downsample.1", n)
        before = n
    header, end = {}, 0
    for name, values in state.items():
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [end, end + 4 * values.size]}
        end += 4 * values.size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for values in state.values():
            file.write(values.astype("<f4").tobytes())


class Block:
    def __init__(self, page, line, language, text, directives):
        self.place, self.language, self.text = f"{page}:{line}", language, text
        self.directives = directives

    def get(self, name):
        """What follows a directive's name; None where it is not given."""
        for directive in self.directives:
            if directive == name or directive.startswith((name + " ", name + ": ")):
                return directive[len(name):].strip(": ")
        return None


def read_blocks(path, page):
    blocks, directives, block = [], [], None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            fence, directive = FENCE.match(line), DIRECTIVE.match(line.strip())
            if block is not None and fence:
                if block.language in SUFFIXES:
                    blocks.append(block)
                elif block.directives:
                    raise SystemExit(f"{block.place}: a directive before a block that is no code")
                block = None
            elif block is not None:
                block.text += line
            elif fence:
                block, directives = Block(page, number, fence[1], "", directives), []
            elif directive:
                why = directive[1].startswith("not run")
                directives = [directive[1]] if why else directive[1].split("; ")
            elif line.strip() and directives:
                raise SystemExit(f"{page}:{number}: a directive without a block")
    return blocks


def in_folder(text, folder):
    """/data is the folder's."""
    return re.sub(r"(?<![\w.])/data/", folder + "/data/", text)


FILE = "resnet18-f37072fd.pth"
STAND_IN = {  # what asks for the default weights, and what asks for a file instead
    "--weights default": f"--backbone resnet18 --weights {FILE}",
    "imiad.Backbone.default()": f'imiad.Backbone("resnet18", "{FILE}")',
    "imiad::backbone::with_default_weights()": f'imiad::backbone("resnet18", "{FILE}")',
    "options.default_weights = 1": f'options.weights = "{FILE}"',
    "imiad_backbone_create(&backbone, NULL,": 'imiad_backbone_create(&backbone, "resnet18",',
}


def without_default_weights(text):
    for asked, instead in STAND_IN.items():
        text = text.replace(asked, instead)
    return text


class Failure(Exception):
    pass


class Runner:
    def __init__(self, source, build, library, sanitizers):
        self.source, self.build, self.library = source, build, os.path.abspath(library)
        self.sanitize = [] if sanitizers == "none" else ["-fsanitize=" + sanitizers]
        self.cc, self.cxx = os.environ.get("CC", "cc"), os.environ.get("CXX", "c++")
        self.preload = os.environ.pop("BLOCKS_PRELOAD", "")

    def command(self, words, folder, **environment):
        done = subprocess.run(words, cwd=folder, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env={**os.environ, **environment})
        if done.returncode != 0:
            raise Failure(f"exit status {done.returncode}\n{done.stdout}")
        return done.stdout

    # ---- what every page finds ----

    def prepare(self, stage):
        """Fills the folder that the folders of the pages link to."""
        os.makedirs(stage + "/build/examples")
        for name in PROGRAMS + ["benchmark", "compare", "list_dataset", "export_dataset", "score_image"]:
            program = f"{self.build}/examples/{name}"
            text = WRAPPER if name in PROGRAMS else '#!/bin/sh\nexec {program} "$@"\n'
            with open(f"{stage}/build/examples/{name}", "w", encoding="utf-8") as file:
                file.write(text.format(program=shlex.quote(program)))
            os.chmod(f"{stage}/build/examples/{name}", 0o755)
        os.symlink(self.source + "/bindings", stage + "/bindings")
        for name in ["lib", "bindings", "meson-info"]:
            os.symlink(f"{self.build}/{name}", f"{stage}/build/{name}")
        self.prepare_images(stage)
        self.command(["meson", "install", "-C", self.build, "--no-rebuild", "--quiet"], stage,
                     DESTDIR=stage + "/root")
        config = next(os.path.join(folder, "libimiad.pc") for folder, _, files in os.walk(stage + "/root")
                      if "libimiad.pc" in files)
        folder = os.path.dirname(config)
        prefix = re.search(r"^prefix=(.*)$", open(config, encoding="utf-8").read(), re.MULTILINE)[1]
        os.makedirs(stage + "/bin")
        os.symlink(sys.executable, stage + "/bin/python3")
        os.environ.update(PATH=f"{stage}/bin:{stage}/root{prefix}/bin:{os.environ['PATH']}", PKG_CONFIG_PATH=folder, PKG_CONFIG_SYSROOT_DIR=stage + "/root",
                          CMAKE_PREFIX_PATH=stage + "/root" + prefix,
                          LD_LIBRARY_PATH=os.path.dirname(folder), IMIAD_LIBRARY=self.library,
                          PYTHONPATH=self.build + "/bindings/python", MPLBACKEND="Agg")

    def prepare_images(self, stage):
        """Of the library's procedural images: a dataset, a folder of parts, and weight files."""
        tree = stage + "/data/mvtec_ad"
        self.export(tree, {"size": 64, "train": 4, "test_good": 3, "test_defective": 4})
        for name in ["circuit", "fuse_box"]:
            shutil.rmtree(f"{tree}/{name}")
        os.rename(tree + "/hex_nut", tree + "/bottle")
        os.rename(tree + "/fabric", tree + "/transistor")
        for subset in ["train", "test"]:
            shutil.copytree(f"{tree}/bottle/{subset}", f"{stage}/parts/{subset}")
        shutil.copy(tree + "/bottle/test/good/000.png", stage + "/part.png")
        random_weights(stage + "/weights.pth")
        for name in ["resnet18-f37072fd", "wide_resnet50_2-95faca4d"]:
            os.link(stage + "/weights.pth", f"{stage}/{name}.pth")

    def export(self, tree, options):
        words = [f"{name}={value}" for name, value in options.items()]
        self.command([f"{self.build}/examples/export_dataset", tree, *words], ".")

    # ---- one block ----

    def leaves_out(self, block):
        """Why a block is not run, "" where that needs no word; None where it is."""
        return block.get("not run")

    def run(self, block, folder, earlier):
        text = without_default_weights(in_folder(block.text, folder))
        frame = block.get("in")
        if frame:
            with open(f"{self.source}/tests/docs/frames/{frame}", encoding="utf-8") as file:
                before, after = file.read().split("@BLOCK@\n")
            text = before + text + after
        if block.get("after") is not None:
            text = earlier.get(block.language, "") + text
        earlier[block.language] = text
        if block.get("file"):
            path = os.path.join(folder, block.get("file"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        path = os.path.join(folder, "block" + SUFFIXES[block.language])
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        arguments = in_folder(block.get("with") or "", folder).split()
        getattr(self, "run_" + block.language)(path, arguments, folder, block)

    def run_sh(self, path, arguments, folder, block):
        # what the page builds or starts has no sanitizer of its own, which then is not the first library
        late = {"ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"} if self.preload else {}
        self.command(["sh", "-eu", path], folder, **late)

    def run_cmake(self, path, arguments, folder, block):
        if not block.get("file"):
            raise Failure("a cmake block needs the name of its file")

    def run_python(self, path, arguments, folder, block):
        preload = {"LD_PRELOAD": self.preload, "ASAN_OPTIONS": "detect_leaks=0"} if self.preload else {}
        self.command([sys.executable, path, *arguments], folder, **preload)

    def compile(self, words, path, arguments, folder, block):
        words = words + WARNINGS + self.sanitize + [f"-I{self.source}/include"]
        if block.get("inside") is not None:
            self.command([*words, "-D_GNU_SOURCE", f"-I{self.source}/lib", "-c", path, "-o", path + ".o"],
                         folder)
            if block.get("inside") == "run":
                self.command([self.cxx, *self.sanitize, path + ".o", "-o", path + ".program",
                              *self.inside_arguments()], self.build)
                self.command([path + ".program", *arguments], folder)
            return
        where = os.path.dirname(self.library)
        self.command([*words, f"-I{self.source}/bindings/cpp", path, "-o", path + ".program", f"-L{where}",
                      "-limiad", "-lm", "-pthread", f"-Wl,-rpath,{where}"], folder)
        self.command([path + ".program", *arguments], folder)

    def inside_arguments(self):
        """What a test program is linked with, from Meson's file, relative to the build folder."""
        with open(self.build + "/build.ninja", encoding="utf-8") as file:
            rule = re.search(r"^build tests/test-modules:.*?^ LINK_ARGS = (.*?)$", file.read(),
                             re.MULTILINE | re.DOTALL)
        return shlex.split(rule[1].replace("$:", ":").replace("$ ", " "))

    def run_c(self, path, arguments, folder, block):
        self.compile([self.cc, "-std=c11"], path, arguments, folder, block)

    def run_cpp(self, path, arguments, folder, block):
        self.compile([self.cxx, "-std=c++17"], path, arguments, folder, block)


def run_pages(runner, pages):
    """Every block of these pages; 0 where none failed."""
    passed = failed = 0
    left_out = []
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory())
        stage = scratch + "/stage"
        runner.prepare(stage)
        for page in pages:
            folder, earlier = f"{scratch}/{page.replace('/', '-')}", {}
            os.mkdir(folder)
            for name in os.listdir(stage):
                if name != "root":
                    os.symlink(f"{stage}/{name}", f"{folder}/{name}")
            for block in read_blocks(f"{runner.source}/{page}", page):
                why = runner.leaves_out(block)
                if why is not None:
                    left_out += [f"{block.place}: {why}"] if why else []
                    continue
                try:
                    runner.run(block, folder, earlier)
                    passed += 1
                except Failure as problem:
                    failed += 1
                    print(f"FAILED: {block.place}: {problem}")
    for line in left_out:
        print("not run:", line)
    print(f"documentation: {passed} passed, {failed} failed, 0 skipped")
    return failed != 0


def main():
    source, build, library, sanitizers, *pages = sys.argv[1:]
    if not pages:
        pages = ["README.md"] + sorted(
            os.path.relpath(os.path.join(folder, name), source)
            for folder, _, names in os.walk(source + "/docs") for name in names if name.endswith(".md"))
    return run_pages(Runner(source, build, library, sanitizers), pages)


if __name__ == "__main__":
    sys.exit(main())
