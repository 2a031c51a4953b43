"""imiad/_abi.py, which is made from the headers by pattern, against what compilers make of them."""
import ctypes
import os
import subprocess

from imiad import _abi

CC, CXX = os.environ.get("CC", "cc"), os.environ.get("CXX", "c++")


def test_structures_have_the_compilers_sizes_and_offsets(compiled):
    lines, expected = [], []
    for name, structure in _abi.STRUCTS.items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        expected.append(f"{name} {ctypes.sizeof(structure)}")
        for field, _ in structure._fields_:
            lines.append(f'printf("{name}.{field} %zu %zu\\n", offsetof({name}, {field}), '
                         f'sizeof((({name} *)0)->{field}));')
            at = getattr(structure, field)
            expected.append(f"{name}.{field} {at.offset} {at.size}")
    body = "\n".join(lines)
    assert compiled(f"#include <imiad/imiad.h>\n#include <stddef.h>\n#include <stdio.h>\n"
                    f"int main(void) {{ {body} return 0; }}", CC) == expected


def test_constants_have_the_compilers_values(compiled):
    constants = {key: value for key, value in vars(_abi).items() if key.startswith("IMIAD_")}
    body = "\n".join(f'printf("{key} %d\\n", (int){key});' for key in constants)
    assert compiled(f"#include <imiad/imiad.h>\n#include <stdio.h>\nint main(void) {{ {body} return 0; }}",
                    CC) == [f"{key} {value}" for key, value in constants.items()]


# What a call needs to know of a type: a pointer, a floating number or an integer of so many bytes.
SIGNATURES = r"""
#include <imiad/imiad.h>
#include <cstdio>
#include <string>
#include <type_traits>
template <class T> std::string one()
{
    if (std::is_void<T>::value)
        return "void";
    if (std::is_pointer<T>::value)
        return "pointer";
    using value = typename std::conditional<std::is_void<T>::value, char, T>::type;
    const bool has_sign = std::is_enum<T>::value || std::is_signed<T>::value;
    return (std::is_floating_point<T>::value ? "float" : has_sign ? "int" : "uint") +
           std::to_string(sizeof(value));
}
template <class R, class... A> std::string all(R (*)(A...))
{
    std::string out = one<R>();
    for (const std::string &text : {std::string(), one<A>()...})
        out += text.empty() ? "" : " " + text;
    return out;
}
"""


def kind(type_):
    if type_ is None:
        return "void"
    code = getattr(type_, "_type_", "P")
    if not isinstance(code, str) or code in "zP" or issubclass(type_, ctypes._CFuncPtr):
        return "pointer"
    word = "float" if code in "fd" else "uint" if code.isupper() else "int"
    return word + str(ctypes.sizeof(type_))


def test_functions_have_the_compilers_signatures(compiled):
    body = "\n".join(f'printf("{name} %s\\n", all(&{name}).c_str());' for name in _abi.FUNCTIONS)
    expected = [" ".join([name, kind(result), *map(kind, arguments)])
                for name, (result, arguments) in _abi.FUNCTIONS.items()]
    # the functions are named, not called
    found = compiled(f"{SIGNATURES}\nint main() {{ {body} }}", CXX, "-std=c++17", "-Wl,--unresolved-symbols=ignore-all")
    assert found == expected


def test_every_exported_function_is_declared():
    exported = subprocess.run(["nm", "-D", "--defined-only", os.environ["IMIAD_LIBRARY"]], check=True,
                              text=True, stdout=subprocess.PIPE).stdout.split()
    names = {word.split("@")[0] for word in exported if word.startswith("imiad_")} - {"imiad_0"}
    assert names == set(_abi.FUNCTIONS)


def test_statuses_are_checked():
    assert "imiad_detector_fit" in _abi.CHECKED
    assert not _abi.CHECKED & {"imiad_threads", "imiad_split_train_label", "imiad_version"}
