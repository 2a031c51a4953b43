"""Makes handles opaque in a description of the interface, as programs see them.

    hide_handles.py HEADERS DESCRIPTION

abidw tells public types from private ones by the name of the file alone, and bank.h is the name of two. What
the public headers declare without its members is left without them; what only these led to is not compared.
"""
import glob
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

headers, path = sys.argv[1:]
handles = set()
for header in glob.glob(os.path.join(headers, "*.h")):
    with open(header, encoding="utf-8") as file:
        handles |= set(re.findall(r"typedef struct (\w+) \1;", file.read()))

tree = ElementTree.parse(path)
for node in tree.iter("class-decl"):
    if node.get("name") in handles:
        for member in list(node):
            node.remove(member)
        node.attrib.pop("size-in-bits", None)
        node.set("is-declaration-only", "yes")
ElementTree.indent(tree)
tree.write(path, encoding="unicode")
