"""Runs the blocks that someone runs who has installed the library and never builds it.

    run_installed.py SOURCE LANGUAGE...

As run_blocks.py does, but against the library, headers and Python package that the system finds, and without a
build folder. Languages: python, c, cpp, cmake; commands in sh belong to the language that they call.
"""
import os
import sys

import imiad
import run_blocks

PAGES = ["README.md", "docs/getting-started.md", "docs/embedding.md", "docs/cpp.md"]
CALLED = {"python3": "python", "cc": "c", "c++": "cpp", "cmake": "cmake"}  # a command's first word


class Installed(run_blocks.Runner):
    def __init__(self, source, languages):
        super().__init__(source, "/nowhere", "/nowhere", "none")
        self.languages = languages

    def prepare(self, stage):
        self.prepare_images(stage)
        os.mkdir(stage + "/detectors")
        dataset = imiad.Dataset("folder", stage + "/parts")
        backbone = imiad.Backbone("resnet18", stage + "/resnet18-f37072fd.pth")
        detector = imiad.detectors.patchcore(backbone, resize=64, crop=64).fit(dataset.split("all"))
        detector.save(stage + "/detectors/bottle.imiad")
        # what the station would have written: its program is in another package
        detector.fit_calibrated(dataset.split("all"))
        detector.save(stage + "/parts.imiad")

    def export(self, tree, options):
        os.makedirs(os.path.dirname(tree))
        imiad.Dataset("synthetic", **options).export(tree)

    def leaves_out(self, block):
        language = CALLED.get(block.text.split()[0]) if block.language == "sh" else block.language
        return super().leaves_out(block) if language in self.languages else ""

    def run(self, block, folder, earlier):
        picture = folder + "/heatmap.png"
        if os.path.exists(picture):
            os.unlink(picture)
        super().run(block, folder, earlier)
        drawn = f", {os.path.getsize(picture)} bytes of heatmap.png" if os.path.exists(picture) else ""
        print(f"{block.place}: {block.language}{drawn}")

    def compile(self, words, path, arguments, folder, block):
        flags = self.command(["pkg-config", "--cflags", "--libs", "libimiad"], folder).split()
        self.command([*words, *run_blocks.WARNINGS, path, "-o", path + ".program", *flags], folder)
        self.command([path + ".program", *arguments], folder)


def main():
    source, *languages = sys.argv[1:]
    print("imiad", imiad.__version__, "from", os.path.dirname(imiad.__file__))
    return run_blocks.run_pages(Installed(source, languages), PAGES)


sys.exit(main())
