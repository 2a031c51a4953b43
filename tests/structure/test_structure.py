"""The house as docs/architecture.md draws it, held against the compiled objects and the sources.

usage: test_structure.py BUILD_FOLDER SOURCE_FOLDER [--show]

Arrows between folders are the page's block of arrows, circles between files its list of circles.
Symbols decide, as `nm` gives them: who uses what another file defines points at it.
"""
import collections
import json
import os
import re
import statistics
import subprocess
import sys

build, source = sys.argv[1], sys.argv[2]
show = "--show" in sys.argv
MOST_LINES, MOST_FUNCTION, MEDIAN_LINES = 600, 100, 250

passed, failures = 0, []


def check(statement, wrong):
    """Counts a statement; `wrong` lists what speaks against it."""
    global passed
    if wrong:
        failures.append(statement)
        print("FAILED: " + statement)
        for line in wrong:
            print("    " + line)
    else:
        passed += 1


def objects():
    """Object file of each source file below lib/."""
    found = {}
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        for entry in json.load(file):
            if "libimiad-inside.a.p" in entry["output"] or "libimiad-torch.so.0.p" in entry["output"]:
                path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
                if path.endswith("bridge/host.cpp"):
                    continue  # it stands for the base in the file that is linked with libtorch
                inside = os.path.relpath(path, os.path.join(source, "lib"))
                if not inside.startswith("..") and inside.endswith((".c", ".cpp")):
                    found[inside] = os.path.join(build, entry["output"])
    return found


def symbols(path):
    """What an object defines, and what it needs."""
    text = subprocess.run(["nm", "-P", path], check=True, capture_output=True, text=True).stdout
    defined, needed = set(), set()
    for line in text.splitlines():
        name, kind = line.split()[:2]
        if kind == "U":
            needed.add(name)
        elif kind in "TDBRVWGSC":
            defined.add(name)
    return defined, needed


def file_symbols():
    return {name: symbols(path) for name, path in objects().items() if os.path.exists(path)}


def file_arrows(table):
    # C++ objects define inline functions of libtorch many times over: not ours to point at
    owners = collections.defaultdict(set)
    for name, (defined, _) in table.items():
        for symbol in defined:
            owners[symbol].add(name)
    arrows = {name: set() for name in table}
    for name, (_, needed) in table.items():
        for symbol in needed:
            if len(owners[symbol]) == 1:
                arrows[name] |= owners[symbol] - {name}
    return arrows


def page_block():
    with open(os.path.join(source, "docs/architecture.md"), encoding="utf-8") as file:
        return file.read()


def allowed_arrows(page):
    """{folder: folders it may point at}, from the block of the page that draws them."""
    block = re.search(r"nothing points back up:\n\n```\n(.*?)```", page, re.S).group(1)
    allowed, everybody = {}, set()
    for line in block.splitlines():
        left, right = re.split(r"\s{2,}", line.strip(), maxsplit=1)
        targets = set(re.findall(r"[a-z]+", re.sub(r"\(.*?\)", "", right)))
        if left == "everything":
            everybody = targets
        else:
            for name in left.split(", "):
                allowed[name] = targets
    return {name: targets | everybody for name, targets in allowed.items()}


def allowed_circles(page):
    """Sets of files, from the list behind "Circles between files"."""
    part = re.search(r"Circles between files.*?\n\n(.*?)\n\n", page, re.S)
    return [set(re.findall(r"`([a-z_0-9/]+\.(?:c|cpp))`", item))
            for item in re.split(r"\n- ", "\n" + part.group(1))] if part else []


def circles(arrows):
    """Strongly connected groups of more than one file (Tarjan)."""
    index, low, stack, on, found = {}, {}, [], set(), []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        on.add(v)
        for w in sorted(arrows[v]):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in on:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            group = set()
            while True:
                w = stack.pop()
                on.discard(w)
                group.add(w)
                if w == v:
                    break
            if len(group) > 1:
                found.append(group)

    for v in sorted(arrows):
        if v not in index:
            visit(v)
    return found


def sources(*folders):
    names = subprocess.run(["git", "-C", source, "ls-files", *folders], capture_output=True, text=True).stdout.split()
    if not names:  # an unpacked archive
        names = [os.path.relpath(os.path.join(top, name), source)
                 for folder in folders for top, _, files in os.walk(os.path.join(source, folder)) for name in files]
    return [name for name in names if name.endswith((".c", ".h", ".cpp", ".hpp"))]


def long_functions(name, lines):
    """Functions that begin with '{' and end with '}' in the first column."""
    begin = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            begin = number
        elif line.startswith("}") and begin is not None:
            if number - begin - 1 > MOST_FUNCTION:
                yield f"{name}:{begin}: {number - begin - 1} lines"
            begin = None


page = page_block()
table = file_symbols()
arrows = file_arrows(table)
check("every object of the library was read", [] if len(arrows) > 100 else [f"only {len(arrows)} objects"])
check("the library opens no connection: it never downloads anything",
      [name for name, (_, needed) in sorted(table.items()) if needed & {"socket", "connect", "getaddrinfo"}])

allowed = allowed_arrows(page)
wrong = collections.defaultdict(list)
for name, targets in sorted(arrows.items()):
    folder = name.split("/")[0]
    for target in sorted(targets):
        other = target.split("/")[0]
        if other != folder and other not in allowed.get(folder, {"base"}):
            wrong[f"{folder} -> {other}"].append(f"{name} -> {target}")
check("folders point only where docs/architecture.md says",
      [f"{arrow}: {', '.join(files[:4])}" for arrow, files in sorted(wrong.items())])
defended = allowed_circles(page)
found = circles(arrows)
if show:
    for group in found:
        print("circle:", ", ".join(sorted(group)))
        for name in sorted(group):
            print("   ", name, "->", ", ".join(sorted(arrows[name] & group)))
check("no circle between files but those that docs/architecture.md defends",
      [", ".join(sorted(group)) for group in found if not any(group <= d for d in defended)])

long_files, counts, functions = [], [], []
for name in sources("lib", "include", "examples"):
    path = os.path.join(source, name)
    if not os.path.exists(path):
        continue
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    if name.startswith("lib/"):
        counts.append(len(lines))
    if len(lines) > MOST_LINES:
        long_files.append(f"{name}: {len(lines)} lines")
    functions += long_functions(name, lines)
check(f"no file has more than {MOST_LINES} lines", long_files)
check(f"no function has more than {MOST_FUNCTION} lines", functions)
check(f"half of the library's files have at most {MEDIAN_LINES} lines",
      [] if counts and statistics.median(counts) <= MEDIAN_LINES else [f"median {statistics.median(counts)}"])

print(f"structure: {passed} passed, {len(failures)} failed, 0 skipped")
sys.exit(bool(failures))
