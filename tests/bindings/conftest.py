"""What the tests of the Python package share: tiny procedural data and a random network."""
import os
import subprocess
import sys

import pytest

import imiad

SOURCE = os.environ["IMIAD_SOURCE"]
TINY = {"size": 64, "train": 4, "test_good": 3, "test_defective": 4}
SMALL = {"resize": 64, "crop": 64}


@pytest.fixture(scope="session")
def dataset():
    return imiad.Dataset("synthetic", **TINY)


@pytest.fixture(scope="session")
def split(dataset):
    return dataset.split("hex_nut")


@pytest.fixture(scope="session")
def backbone():
    return imiad.Backbone("resnet18")


@pytest.fixture(scope="session")
def fitted(backbone, split):
    return imiad.Detector("patchcore", backbone, **SMALL).fit(split)


@pytest.fixture
def run_python(tmp_path):
    """Runs a program of its own and gives (exit status, what it wrote)."""
    def run(program, **environment):
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, **environment})
        return done.returncode, done.stdout
    return run


@pytest.fixture
def compiled(tmp_path):
    """Compiles a program against the public headers, runs it and gives the lines it wrote."""
    def run(source, compiler, *flags):
        suffix = ".cpp" if "++" in compiler else ".c"
        (tmp_path / ("program" + suffix)).write_text(source)
        program = tmp_path / "program"
        subprocess.run([compiler, *flags, f"-I{SOURCE}/include", program.with_suffix(suffix), "-o", program],
                       check=True, env={**os.environ, "LD_PRELOAD": ""})
        return subprocess.run([program], check=True, text=True, stdout=subprocess.PIPE,
                              env={**os.environ, "LD_PRELOAD": ""}).stdout.splitlines()
    return run


def pytest_terminal_summary(terminalreporter):
    """The line that tests/run.sh counts."""
    counts = {key: len(value) for key, value in terminalreporter.stats.items()}
    failed = counts.get("failed", 0) + counts.get("error", 0)
    print(f"\npython: {counts.get('passed', 0)} passed, {failed} failed, {counts.get('skipped', 0)} skipped")
