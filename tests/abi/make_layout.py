"""Writes layout.c: the size of every public structure and the place of every member, as assertions.

    make_layout.py HEADERS >layout.c
"""
import os
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../../bindings/python"))
from make_abi import Headers  # noqa: E402

headers = sys.argv[1]
with open(os.path.join(headers, "imiad.h"), encoding="utf-8") as file:
    names = [line.split('"')[1].split("/")[1] for line in file if line.startswith("#include")]
text = ""
for name in names:
    with open(os.path.join(headers, name), encoding="utf-8") as file:
        text += file.read()
parsed = Headers(text)
with open(os.devnull, "w", encoding="utf-8") as nowhere:
    parsed.write(nowhere)

lines = []
for struct, fields in parsed.structs.items():
    lines.append(f'printf("SAME(sizeof({struct}), %zu)\\n", sizeof({struct}));')
    for field, _ in fields:
        lines.append(f'printf("SAME(offsetof({struct}, {field}), %zu)\\n", offsetof({struct}, {field}));')
for values in parsed.enums.values():
    for key, _ in values:
        lines.append(f'printf("SAME({key}, %d)\\n", (int){key});')
program = "#include <imiad/imiad.h>\n#include <stdio.h>\nint main(void) {" + "\n".join(lines) + "return 0; }"
with tempfile.TemporaryDirectory() as folder:
    source, binary = os.path.join(folder, "layout.c"), os.path.join(folder, "layout")
    with open(source, "w", encoding="utf-8") as file:
        file.write(program)
    subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-I" + os.path.dirname(headers.rstrip("/")), source,
                    "-o", binary], check=True)
    asserted = subprocess.run([binary], check=True, text=True, stdout=subprocess.PIPE).stdout
print("""/* Where every member of every public structure lies, and what every constant is, on 64-bit machines:
 * compiled as C11 and as C++17, by the test abi. Written by tests/abi/update.sh. */
#include <imiad/imiad.h>

#ifdef __cplusplus
#define SAME(a, b) static_assert((a) == (b), #a " is not " #b);
#else
#define SAME(a, b) _Static_assert((a) == (b), #a " is not " #b);
#endif

/* clang-format off */""")
print(asserted, end="")
