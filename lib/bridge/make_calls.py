"""Writes how the library reaches the operations of tensor.h, which live in a file of their own.

    make_calls.py calls tensor.h >calls.c       for the library: each operation, through the table of that file
    make_calls.py table tensor.h >table.cpp     for that file: the table

Both begin with the sign of the header that they were made of: a library and a file that are of two builds do not
come together.
"""
import hashlib
import re
import sys

# What an operation gives where libtorch is not there; of other types it is nothing at all.
ABSENT = {"imiad_status": "bridge_absence()", "bool": "BOOL", "double": "NAN", "scope": "(scope){0}", "int": "0",
          "int64_t": "0", "size_t": "0", "dtype": "F32", "device": "CPU", "void": ""}
BOOL = {"t_failed": "bridge_is_absent()", "t_try": "false"}
# These load libtorch. All others need an open scope, or have nothing to do.
LOADING = {"scope_begin", "scope_begin_grad", "device_find", "device_memory"}


def functions(text):
    """(result, name, arguments, names of the arguments) of each function of the header."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    for result, name, arguments in re.findall(r"([\w ]+?[\s*]+)(\w+)\(([^()]*)\)\s*;", text):
        arguments = " ".join(arguments.split())
        names = [] if arguments == "void" else [re.search(r"(\w+)(\[\d*\])?$", one)[1]
                                                for one in arguments.split(", ")]
        yield " ".join(result.split()), name, arguments, names


def call(index, result, name, arguments, names):
    between = "" if result.endswith("*") else " "
    absent = "NULL" if result.endswith("*") else ABSENT[result]
    absent = BOOL[name] if absent == "BOOL" else absent
    find = "bridge_load_function" if name in LOADING else "bridge_function_of"
    kind = f"{result}{between}(*)({arguments})"
    given = ", ".join(names)
    lines = [f"{result}{between}{name}({arguments})", "{", f"    bridge_function *found = {find}({index});"]
    if result == "void":
        lines += ["    if (found)", f"        (({kind})found)({given});"]
    else:
        lines += [f"    return found ? (({kind})found)({given}) : {absent};"]
    return "\n".join(lines + ["}"])


def main():
    what, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    sign = hashlib.sha256(text.encode()).hexdigest()[:16]
    found = list(functions(text))
    print("/* Made of bridge/tensor.h by make_calls.py. */")
    if what == "calls":
        print('#include "bridge/tensor.h"\n\n#include <math.h>\n\n#include "bridge/load.h"\n')
        print(f'const char bridge_sign[] = "{sign}";\n')
        print("\n\n".join(call(index, *one) for index, one in enumerate(found)))
    else:
        print('#include "bridge/bridge.h"\n#include "bridge/load.h"\n')
        print(f'extern "C" const char bridge_sign[] = "{sign}";\n')
        print('extern "C" bridge_function *const bridge_functions[] = {')
        for _, name, _, _ in found:
            print(f"    reinterpret_cast<bridge_function *>(&{name}),")
        print("};")


main()
