#!/usr/bin/env python3
"""embed_page.py page.css page.js: both as C texts, with the digests by which a page's policy
lets them in, on standard output."""
import base64
import hashlib
import sys


def print_text(name, text):
    print("const char %s[] =" % name)
    for line in text.splitlines(keepends=True):
        print('    "%s"' % line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
    print("    ;\n")


def main():
    style, script = (open(path, encoding="ascii").read() for path in sys.argv[1:3])
    assert "<" not in style and "&" not in style, "the style would not be plain text in XML"
    assert "</" not in script and "]]>" not in script, "the script would end its element"
    # a comment to JavaScript, a frame to a reader of XML
    script = "//<![CDATA[\n" + script + "//]]>\n"
    print("/* Made by embed_page.py from page.css and page.js. */")
    print('#include "report/page_data.h"\n')
    for name, text in (("page_style", style), ("page_script", script)):
        print_text(name, text)
        print_text(name + "_digest", base64.b64encode(hashlib.sha256(text.encode()).digest()).decode())


main()
