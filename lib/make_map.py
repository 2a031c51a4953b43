"""Writes the linker's version script: the library exports what the public headers declare.

    make_map.py HEADER... >imiad.map
"""
import re
import sys

names = set()
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.DOTALL)
    names |= set(re.findall(r"\bIMIAD_API\b[^;(]*?\b(imiad_\w+)\s*\(", text))
print("imiad_0 {\n  global:")
for name in sorted(names):
    print(f"    {name};")
print("  local: *;\n};")
