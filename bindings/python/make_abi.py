"""Writes imiad/_abi.py: what the public headers declare, in ctypes' words.

    make_abi.py HEADER... >_abi.py

The headers are the only place where the interface is written down; the build runs this. It reads the C
that these headers are made of, not all of C, and stops at whatever it does not know.
tests/bindings/test_abi.py holds the outcome against what a C compiler makes of the same headers.
"""
import re
import sys

SCALARS = {
    "char": "c_char", "int": "c_int", "float": "c_float", "double": "c_double", "size_t": "c_size_t",
    "ptrdiff_t": "c_ssize_t",
    "int32_t": "c_int32", "uint32_t": "c_uint32", "int64_t": "c_int64", "uint64_t": "c_uint64",
    "uint8_t": "c_uint8",
}
PREAMBLE = '''"""Generated from the public headers by make_abi.py: do not edit."""
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int, c_int32, c_int64,
                    c_size_t, c_ssize_t, c_uint8, c_uint32, c_uint64, c_void_p)
'''


class Headers:
    def __init__(self, text):
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
        text = re.sub(r"\\\n", " ", text)
        text = re.sub(r"^[ \t]*#.*$", "", text, flags=re.MULTILINE)
        self.text = re.sub(r"\s+", " ", text)
        self.enums, self.structs, self.callbacks = {}, {}, {}

    def kind(self, declaration, place):
        """The ctypes name of a C type without its declared name; place: argument, field, result."""
        words = re.sub(r"\b(const|struct|enum)\b", " ", declaration).replace("*", " * ").split()
        base, stars = words[0], words[1:].count("*")
        if len(words) != 1 + stars:
            raise SystemExit(f"make_abi: cannot read the type {declaration!r}")
        if stars == 0:
            if base in SCALARS:
                return SCALARS[base]
            if base in self.enums:
                return "c_int"
            if base in self.callbacks or base in self.structs:
                return base
        elif base == "char" and stars == 1:
            return "c_char_p"
        elif base == "char":
            return "POINTER(c_char_p)"
        elif base in self.structs:
            return "POINTER(" * stars + base + ")" * stars
        elif stars == 2 and place == "argument":
            return "POINTER(c_void_p)"
        elif stars <= 2 and (base in SCALARS or base == "void" or base.startswith("imiad_")):
            return "c_void_p"
        raise SystemExit(f"make_abi: cannot read the type {declaration!r}")

    def arguments(self, text):
        """Kinds of "const float *map, int32_t width"."""
        kinds = []
        for argument in split_outside(text, ","):
            if argument.strip() in ("void", ""):
                continue
            pointer = re.fullmatch(r"(.+?)\(\s*\*\s*\w+\s*\)\s*\((.*)\)", argument.strip())
            if pointer:
                kinds.append(self.function_kind(*pointer.groups()))
                continue
            match = re.fullmatch(r"(.*?[\s*])?(\w+)\s*(\[[^\]]*\])?", argument.strip())
            before, name, array = match.groups()
            if not before or not before.strip(" *"):
                before = name  # a type without a name
            kinds.append(self.kind(before + ("*" if array else ""), "argument"))
        return kinds

    def changes(self, arguments):
        """Whether one of "const imiad_bank *bank, imiad_bank *other" is a handle that is not const."""
        for argument in split_outside(arguments, ","):
            handle = re.match(r"(imiad_\w+) \*(?!\*)", argument.strip())
            if handle and handle[1] not in self.structs:
                return True
        return False

    def function_kind(self, result, arguments):
        result = result_kind(self, result)
        if result.startswith("POINTER"):
            result = "c_void_p"  # ctypes takes no other pointer from a function of Python's
        kinds = [result] + self.arguments(arguments)
        return f"CFUNCTYPE({', '.join(kinds)})"

    def fields(self, body):
        """(name, kind) of every member of a structure."""
        for line in split_outside(body, ";"):
            if not line.strip():
                continue
            pointer = re.fullmatch(r"(.+?)\(\s*\*\s*(\w+)\s*\)\s*\((.*)\)", line.strip())
            if pointer:
                yield pointer[2], self.function_kind(pointer[1], pointer[3])
                continue
            base = re.match(r"\s*((?:const |struct |enum )*\w+)(.*)", line)
            for one in split_outside(base[2], ","):
                match = re.fullmatch(r"((?:\s|\*|const\b)*)(\w+)\s*(?:\[(\d+)\])?\s*", one)
                kind = self.kind(base[1] + match[1], "field")
                yield match[2], f"{kind} * {match[3]}" if match[3] else kind

    def write(self, out):
        out.write(PREAMBLE)
        for body, name in re.findall(r"\benum (?:\w+ )?\{([^}]*)\} ?(\w*) ?;", self.text):
            self.enums[name] = re.findall(r"(\w+) = (-?\d+)", body)
            if len(self.enums[name]) != len([v for v in body.split(",") if v.strip()]):
                raise SystemExit(f"make_abi: a value of enum {name} is not given as a number")
            out.write("\n" + "".join(f"{key} = {value}\n" for key, value in self.enums[name]))
        out.write("\nENUMS = {\n")
        for name, values in self.enums.items():
            if not name:
                continue
            keys = "".join(f"\n        {key!r}: {value}," for key, value in values)
            out.write(f"    {name!r}: {{{keys}\n    }},\n")
        out.write("}\n")
        pattern = (r"\btypedef struct (?P<struct>\w+) \{(?P<body>.*?)\} (?P=struct) ?;"
                   r"|\btypedef (?P<result>[^;{}()]+)\( ?\* ?(?P<callback>\w+) ?\) ?\((?P<arguments>[^;]*)\) ?;")
        for match in re.finditer(pattern, self.text):
            if match["callback"]:
                kind = self.function_kind(match["result"], match["arguments"])
                self.callbacks[match["callback"]] = kind
                out.write(f"\n{match['callback']} = {kind}\n")
                continue
            self.structs[match["struct"]] = fields = list(self.fields(match["body"]))
            out.write(f"\n\nclass {match['struct']}(Structure):\n    _fields_ = [\n")
            out.write("".join(f"        ({name!r}, {kind}),\n" for name, kind in fields))
            out.write("    ]\n\n")
        out.write("\nSTRUCTS = {\n")
        out.write("".join(f"    {name!r}: {name},\n" for name in self.structs))
        out.write("}\n\n# name: (result, arguments)\nFUNCTIONS = {\n")
        functions = re.findall(r"\bIMIAD_API ([^;(]*?)(\w+) ?\(([^;]*?)\) ?;", self.text)
        for result, name, arguments in functions:
            kinds = self.arguments(arguments)
            tail = ", ".join(kinds) + ("," if len(kinds) == 1 else "")
            out.write(f"    {name!r}: ({result_kind(self, result)}, ({tail})),\n")
        checked = [name for result, name, _ in functions if result.strip() == "imiad_status"]
        reading = [name for _, name, arguments in functions if not self.changes(arguments)]
        out.write("}\n\n# those that only read the handles they are given\nREADING = {\n")
        out.write("".join(f"    {name!r},\n" for name in reading))
        out.write("}\n\n# those that return an imiad_status\nCHECKED = {\n")
        out.write("".join(f"    {name!r},\n" for name in checked) + "}\n")


def result_kind(headers, text):
    return "None" if text.strip() == "void" else headers.kind(text, "result")


def split_outside(text, separator):
    """Splits where no bracket is open."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == separator and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return parts + [text[start:]]


def main():
    texts = []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            texts.append(file.read())
    # a structure is known before another one holds it: each header comes after what it includes
    Headers("\n".join(texts)).write(sys.stdout)


if __name__ == "__main__":
    main()
