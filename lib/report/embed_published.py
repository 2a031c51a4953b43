#!/usr/bin/env python3
"""embed_published.py published.tsv published_marks.tsv printed.tsv: the tables of published_data.h as C, on
standard output. Numbers become ten-thousandths, names are kept once."""
import decimal
import sys

UNIT = 10000
FIELDS = 6  # of a row before its numbers: source, setting, value, dataset, method, metric


def lines(path):
    for line in open(path, encoding="ascii"):
        if not line.startswith("#"):
            yield line.rstrip("\n").split("\t")


def quoted(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


class Names:
    def __init__(self):
        self.numbers = {}

    def number(self, text):
        return self.numbers.setdefault(text, len(self.numbers))


def scaled(text):
    number = decimal.Decimal(text) * UNIT
    assert number == int(number) and abs(number) < 2**31, text
    return int(number)


def detector_of(method):
    return "" if " " in method else method.lower()


def read_rows(path, names):
    """Rows, and the figures that they point at."""
    columns, rows, figures = {}, [], []
    for fields in lines(path):
        if fields[0] == "@":
            columns[fields[1]] = fields[2:]
            continue
        dataset, method = fields[3], fields[4]
        printed = [(c, n) for c, n in zip(columns[dataset], fields[FIELDS:]) if n != "-"]
        assert len(fields) == FIELDS + len(columns[dataset]) and printed, fields
        count = sum(c != "average" for c in columns[dataset])
        rows.append([names.number(f) for f in fields[:FIELDS]] +
                    [names.number(detector_of(method)), count or 1, len(figures), len(printed)])
        figures += [(len(rows) - 1, names.number(c), scaled(n)) for c, n in printed]
    return rows, figures


def print_rows(kind, rows, figures):
    print("const published_row %s_rows[] = {" % kind)
    for row in rows:
        print("    {%s}," % ", ".join(map(str, row)))
    print("};\nconst size_t %s_row_count = %d;\n" % (kind, len(rows)))
    print("const published_figure %s_figures[] = {" % kind)
    for figure in figures:
        print("    {%d, %d, %d}," % figure)
    print("};\nconst size_t %s_figure_count = %d;\n" % (kind, len(figures)))


def print_rules(path):
    print("const published_rule published_rules[] = {")
    count = 0
    for fields in lines(path):
        assert len(fields) == 9, fields
        print("    {IMIAD_MARK_%s, {%s}, %s}," % (fields[0].upper(),
                                                  ", ".join(map(quoted, fields[1:8])),
                                                  quoted(fields[8])))
        count += 1
    print("};\nconst size_t published_rule_count = %d;" % count)


def main():
    names = Names()
    published, printed = read_rows(sys.argv[1], names), read_rows(sys.argv[3], names)
    print("/* Made by embed_published.py from published.tsv, published_marks.tsv, printed.tsv. */")
    print('#include "report/published_data.h"\n')
    print("const char *const published_names[] = {")
    for name in names.numbers:
        print("    %s," % quoted(name))
    print("};\n")
    print_rows("published", *published)
    print_rows("printed", *printed)
    print_rules(sys.argv[2])


main()
