"""Reads the files of a report as other programs do, and holds them against where their numbers come from.

usage: check_report.py page|paper|store|setup|costs|failures|hostile STEM PAPER.csv

STEM.html, STEM.csv, STEM.md and STEM.tex are one report, STEM.sqlite is its store. For "paper" the last two
may be absent, and of the page only the table that STEM names is read.
"""
import collections
import csv
import html.parser
import json
import math
import re
import sqlite3
import statistics
import sys
import xml.etree.ElementTree as tree

what, stem, paper_path = sys.argv[1:4]
X = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"
VOID = {"meta", "br", "input", "img"}
failures = []


def check(statement, truth, *more):
    if not truth:
        failures.append(statement)
        if len(failures) < 20:
            print("FAILED:", statement, *more)


# ---- the page ----

class Elements(html.parser.HTMLParser):
    """The page as a reader of HTML takes it: elements that close themselves do so in SVG only."""

    def __init__(self):
        super().__init__()
        self.open, self.count = [], 0

    def handle_starttag(self, tag, attributes):
        self.count += 1
        check("an element that is never closed: " + tag, tag not in VOID)
        names = [name for name, _ in attributes]
        check("an attribute twice in " + tag, len(names) == len(set(names)))
        self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.count += 1
        check("closes itself and must not: " + tag, tag in VOID or "svg" in self.open)

    def handle_endtag(self, tag):
        check("ends what is not open: " + tag, self.open and self.open.pop() == tag)


def local(element):
    return element.tag.split("}")[1]


def text_of(element):
    return "".join(element.itertext())


def seen(element):
    """The text without what only screen readers get."""
    if element.get("class") == "hear":
        return ""
    return (element.text or "") + "".join(seen(child) + (child.tail or "") for child in element)


def read_page(path):
    with open(path, encoding="utf-8") as file:
        source = file.read()
    parser = Elements()
    parser.feed(source)
    check("every element is closed", parser.open == [], parser.open)
    root = tree.fromstring(source)
    every = list(root.iter())
    check("both readers see the same elements", len(every) == parser.count, len(every), parser.count)
    ids = [e.get("id") for e in every if e.get("id")]
    check("ids are there once", len(ids) == len(set(ids)),
          [i for i, n in collections.Counter(ids).items() if n > 1][:3])
    ids = set(ids)
    for element in every:
        name, target = local(element), element.get("href")
        check("a handler in an attribute", not any(a.startswith("on") for a in element.attrib))
        check("nothing is loaded", not {"src", "action", "style", "srcdoc"} & set(element.attrib) or
              (element.get("src") or "").startswith("data:image/png;base64,"), element.attrib)
        check("only known elements: " + name, name in KNOWN)
        if target is not None:
            check("a link leads to a part of the page: " + target,
                  target.startswith("#") and target[1:] in ids)
        for label in (element.get("aria-labelledby") or "").split():
            check("a label is there: " + label, label in ids)
        if name == "table":
            check_table(element)
        if name == "svg":
            check("a figure says what it is", element.get("role") == "img" and
                  [local(c) for c in element][:2] == ["title", "desc"])
    check("one script and one style", sum(local(e) == "script" for e in every) == 1 and
          sum(local(e) == "style" for e in every) == 1)
    style = next(e.text for e in every if local(e) == "style")
    check("what is drawn by reference has its style wherever it stands", not re.search(r"\bsvg [.a-z]", style))
    levels = [int(local(e)[1]) for e in every if re.fullmatch("h[1-6]", local(e))]
    check("headings skip no level", all(b <= a + 1 for a, b in zip(levels, levels[1:])))
    return root


KNOWN = set("""html head meta title style body a header h1 h2 h3 h4 p nav ul ol li form label select option
    button main section details summary div table caption thead tbody tr th td span sup dl dt dd code script
    figure figcaption svg desc g path circle rect line polyline text defs linearGradient stop img
    """.split())


def check_table(table):
    check("a table has a caption", local(table[0]) == "caption")
    heads = [th for th in table.iter(X + "th")]
    check("a head says what it is of",
          all(th.get("scope") in ("row", "col", "colgroup") for th in heads))
    rows = [list(tr) for tr in table.find(X + "tbody")]
    check("lines are equally long", len({len(row) for row in rows}) <= 1)
    check("a line begins with its head", all(local(row[0]) == "th" for row in rows if row))
    columns = [th for th in table.find(X + "thead").iter(X + "th") if th.get("scope") == "col"]
    check("a column has a head", not rows or len(columns) == len(rows[0]))


# ---- the paper's tables in four files ----

def number(text):
    return float(text) if text else math.nan


def minus(text):
    return text.replace("-", "\u2212")


def shown(value, form="%.3f"):
    return "\u2013" if math.isnan(value) else minus(form % (0.0 if abs(value) < 0.0005 else value))


SETUP = ("III", "V", "E")  # what datasets hold, methods are given and detectors cost: texts, and no contest


def read_csv():
    """The tables of results, and those of what was set up."""
    tables, setup = collections.OrderedDict(), collections.OrderedDict()
    with open(stem + ".csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["table"] in SETUP:
                setup.setdefault(row["table"], []).append(row)
                continue
            for name in ("ours", "deviation", "forgotten", "published", "published_forgotten",
                         "difference"):
                row[name] = number(row[name])
            tables.setdefault(row["table"], []).append(row)
    return tables, setup


def pair(value, forgotten, forgetting):
    return shown(value) + (" / " + shown(forgotten) if forgetting else "")


def expected_text(row):
    """What the page shows of a line of the CSV file, footnotes apart."""
    forgetting = row["table"] == "XI"
    if math.isnan(row["ours"]):
        text = "\u2013" if math.isnan(row["published"]) else "\u00b7"
    else:
        text = pair(row["ours"], row["forgotten"], forgetting)
    if not math.isnan(row["deviation"]):
        text += " \u00b1 " + shown(row["deviation"])
    if not math.isnan(row["published"]):
        text += " " + pair(row["published"], row["published_forgotten"], forgetting)
    if not math.isnan(row["difference"]):
        text += " " + shown(row["difference"], "%+.3f")
    return text


def without_notes(cell):
    for span in list(cell.iter()):
        for child in list(span):
            if local(child) == "sup":
                before = list(span).index(child)
                if before:
                    span[before - 1].tail = (span[before - 1].tail or "") + (child.tail or "")
                else:
                    span.text = (span.text or "") + (child.tail or "")
                span.remove(child)
    return cell


def rank_in(element):
    found = [e.get("class") for e in element.iter(X + "span") if e.get("class") in ("best", "second")
             ] if element is not None else []
    return found[0] if found else ""


def check_grid(root, name, rows):
    table = root.find(".//*[@id='grid-%s']" % name)
    cells = [td for tr in table.find(X + "tbody") for td in tr if local(td) == "td"]
    check("table %s is whole" % name, len(cells) == len(rows), len(cells), len(rows))
    for cell, row in zip(cells, rows):
        text = " ".join(seen(without_notes(cell)).split())
        check("table %s shows what its file says" % name, text == expected_text(row), text,
              expected_text(row))
        below = [e for e in cell if e.get("class") == "p"]
        for child in below:
            cell.remove(child)
        check("table %s marks as its file does" % name, rank_in(cell) == row["rank"] and
              rank_in(below[0] if below else None) == row["published_rank"])
    for row in rows:
        check("a mark has its reason", (row["mark"] == "") == (row["reason"] == ""))


texts = {}


def page_text(root):
    return texts.setdefault("page", text_of(root))


def check_other_files(tables):
    with open(stem + ".md", encoding="utf-8") as file:
        markdown = file.read()
    with open(stem + ".tex", encoding="utf-8") as file:
        latex = file.read()
    for text in {pair(row["ours"], row["forgotten"], row["table"] == "XI")
                 for rows in tables.values() for row in rows if not math.isnan(row["ours"])}:
        check("Markdown has " + text, text in markdown)
        check("LaTeX has " + text, text.replace("\u2212", "$-$").replace("\u2013", "--") in latex)
    for line in markdown.splitlines():
        if line.startswith("|"):
            width = len(re.findall(r"(?<!\\)\|", line))
            check("lines of a Markdown table are equally long", width == check_other_files.width or
                  check_other_files.width == 0, line)
            check_other_files.width = width
        else:
            check_other_files.width = 0
    for body in re.findall(r"\\toprule\n(.*?)\\bottomrule", latex, re.S):
        lines = [l for l in body.splitlines() if l != "\\midrule"]
        check("lines of a LaTeX table are equally long",
              len({len(re.findall(r"(?<!\\)&", l)) for l in lines}) == 1)
    check("every environment of LaTeX ends", len(re.findall(r"\\begin", latex)) ==
          len(re.findall(r"\\end", latex)))


check_other_files.width = 0


def check_setup(root, name, rows):
    """A table of texts says the same in the page, in CSV, in Markdown and in LaTeX."""
    table, measured = root.find(".//*[@id='setup-%s']" % name), []
    sides = 2 if name == "E" else 1  # the label, and what it was measured on
    cells = [td for tr in table.find(X + "tbody") for td in list(tr)[sides:]]
    check("table %s is whole" % name, len(cells) == len(rows), len(cells), len(rows))
    for cell, row in zip(cells, rows):
        if sides == 2:
            measured.append(row["note"])
            row["note"] = ""
        expected = row["ours"] or ("\u00b7" if row["published"] and name != "V" else "\u2013")
        text = " ".join(text for text in (expected, row["published"], row["note"]) if text)
        check("table %s shows what its file says" % name, " ".join(seen(cell).split()) == text,
              seen(cell), text)
    labels = [text_of(tr[0]) for tr in table.find(X + "tbody")]
    if sides == 2:  # the options that tell two lines apart stand below
        labels = [", ".join(t.strip() for t in tr[0].itertext() if t.strip()) for tr in table.find(X + "tbody")]
    if not all(re.fullmatch(r"[\w =.,]+", label, re.ASCII) for label in labels):
        return  # a hostile name; each file escapes it in its own way
    width = len(rows) // len(labels)
    with open(stem + ".md", encoding="utf-8") as file:
        markdown = file.read().split("## Table %s. " % name)[1].split("\n## ")[0]
    with open(stem + ".tex", encoding="utf-8") as file:
        latex = file.read().split(" (table %s)}" % name)[1].split("\\end{tabular}")[0]
    found = [line.strip("| ").split(" | ") for line in markdown.splitlines() if line.startswith("| ")][2:]
    check("LaTeX has the lines of Markdown", [re.sub(r"\\([_%])", r"\1", line[:-3]).split(" & ") for line in latex.splitlines()
                                              if line.endswith("\\\\")][1:] ==
          [[{"\u2013": "--", "\u00b7": "$\\cdot$"}.get(t, plain(t)) for t in line] for line in found])
    lines = iter(found)
    for at, label in enumerate(labels):
        of_line = rows[at * width:(at + 1) * width]
        expected = [[row["ours"] or ("\u00b7" if row["published"] and name != "V" else "\u2013") for row in of_line]]
        for field in ("published", "note"):
            if any(row[field] for row in of_line):
                expected.append([row[field].removeprefix("here ") or "\u2013" for row in of_line])
        for texts in expected:
            line = next(lines)
            check("Markdown has " + label, [plain(t) for t in line[:1] + line[sides + 1:]] == [label] + texts, line)
            if sides == 2:
                on = measured[at * width] if line[2] == "ours" else "measured on \u2013"
                check("and what it was measured on", "measured on " + plain(line[1]) == on, line)
    check("and nothing else", next(lines, None) is None)


def plain(text):
    return text.replace("\\", "")


def read_report(only=None):
    root = tree.parse(stem + ".html").getroot() if only else read_page(stem + ".html")
    tables, setup = read_csv()
    check("the tables of texts are there", tuple(setup) in (SETUP, SETUP[:2]), list(setup))
    check("all tables are there", list(tables) == ["VI", "VII", "VIII", "VIII-i", "IX", "IX-m", "X", "XI",
                                                   "XII", "XIII"], list(tables))
    for name, rows in tables.items():
        if only in (None, name):
            check_grid(root, name, rows)
    for reason in {row["reason"] for rows in tables.values() for row in rows}:
        check("the page gives the reason", reason in page_text(root), reason)
    if not only:
        check_other_files(tables)
        for name, rows in setup.items():
            check_setup(root, name, rows)
    return root, tables, setup


# ---- against what the paper prints ----

SETTINGS = {"vanilla": ("unsupervised", ""), "semi": ("supervised", "anomalies={}"),
            "fewshot": ("fewshot", "shots={}"), "noisy": ("noisy", "ratio={}"),
            "continual": ("continual", ""), "mean_of_settings": ("mean_of_settings", "")}
for kind, word in (("rotation", "rotation"), ("flip", "flip"), ("scale", "scale"), ("translate", "translate"),
                   ("colorjitter", "color_jitter"), ("perspective", "perspective")):
    SETTINGS["fewshot_aug_" + kind] = ("fewshot", "shots={} augmentation=" + word)

# what the paper's own numbers contradict: table, method, metric -> what stands in ours, printed
INCONSISTENT = {
    ("VIII", "mvtec_ad", "average", "PatchCore", "pixel_auroc"): (0.983, 0.994),
    ("VIII", "mvtec_ad", "average", "BGAD", "pixel_auroc"): (0.991, 0.992),
    ("XIII", "mvtec_ad", "average", "STPM", "pixel_ap"): (0.397, 0.354),
}


def read_paper(table):
    found = {}
    with open(paper_path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["table"] != table:
                continue
            setting, value = SETTINGS[row["setting"]]
            metric = row["metric"].replace("pixel_pro", "aupro")
            found[setting, value.format(row["setting_value"]), row["dataset"], row["category"],
                  row["method"], metric] = float(row["value"])
    return found


def contest(table, key):
    """Among which the paper marks the best."""
    setting, value, dataset, category, method, metric = key
    if table == "VI":
        return dataset, metric
    if table == "IX":
        return value.split()[0], method
    if table == "XII":
        return value
    if table == "VIII":
        return category, metric
    return setting, value, dataset, metric


def ranks(numbers):
    """{key: number} -> {key: "best", "second" or ""}, by three decimals; one alone is no best."""
    order = sorted({round(n * 1000) for n in numbers.values()}, reverse=True)
    if len(numbers) < 2:
        return {key: "" for key in numbers}
    names = dict(zip(order, ("best", "second")))
    return {key: names.get(round(n * 1000), "") for key, n in numbers.items()}


def check_ranks(table, rows, field, rank, left_out):
    groups = collections.defaultdict(dict)
    for key, row in rows.items():
        if not math.isnan(row[field]) and not left_out(row):
            groups[contest(table, key)][key] = row[field]
    for numbers in groups.values():
        for key, name in ranks(numbers).items():
            check("table %s: best and second of %s" % (table, field), rows[key][rank] == name, key,
                  rows[key][rank], name)


def check_paper():
    table = stem.rsplit("/", 1)[1]
    printed = read_paper(table)
    root, tables, _ = read_report(table)
    rows = {(r["setting"], r["value"], r["dataset"], r["category"], r["method"], r["metric"]): r
            for r in tables[table]}
    check("no line comes twice", len(rows) == len(tables[table]))
    for key, value in printed.items():
        main = key[:5] + (key[5].replace("_fm", ""),)
        fm = key[5].endswith("_fm")
        row = rows.get(main)
        check("table %s has %s" % (table, key), row is not None)
        if row is None:
            continue
        ours, published = (row["forgotten"], row["published_forgotten"]) if fm else \
            (row["ours"], row["published"])
        check("the published figure is the printed one", published == value, key, published, value)
        mean = key[0] == "mean_of_settings" or (table == "VIII" and key[3] == "average")
        mine, theirs = INCONSISTENT.get((table,) + key[2:], (value, value)) if mean else (value, value)
        if mean:
            # a mean of rounded numbers
            check("a mean is the printed one", abs(ours - mine) < 0.00101, key, ours, mine)
        else:
            check("ours is the printed number", "%.3f" % ours == "%.3f" % mine, key, ours, mine)
        if mine != theirs:
            check("an inconsistency carries its mark", row["mark"] in ("wrong", "doubtful"), key)
    for key, row in rows.items():
        check("a dash where the paper has one",
              math.isnan(row["ours"]) or key in printed or key[0] == "mean_of_settings", key)
    check_ranks(table, rows, "ours", "rank", lambda row: False)
    check_ranks(table, rows, "published", "published_rank", lambda row: row["mark"] == "wrong")
    if table == "X":
        drawn = [y for _, y in marks(figure_of(root, "noise-3"))]
        values = [r["ours"] for m in sorted({k[4] for k in rows}, key=str.lower)
                  for r in rows.values() if r["method"] == m and r["dataset"] == "mvtec_ad"]
        check("a mark a value", len(drawn) == len(values), len(drawn), len(values))
        check_line("marks stand where the values are", drawn, values)
    print("table %s: %d figures" % (table, len(printed)))


# ---- against the store ----

def store_means():
    """(family, category, name) -> mean and deviation over runs, and of averages, computed here."""
    base = sqlite3.connect(stem + ".sqlite")
    values = collections.defaultdict(dict)
    for family, category, seed, name, value in base.execute(
            "SELECT family, category, seed, name, number FROM cells JOIN measurements ON cell = id"):
        values[family, name].setdefault(seed, {})[category] = value
    means = {}
    for (family, name), runs in values.items():
        categories = {c for run in runs.values() for c in run}
        for category in categories:
            numbers = [run[category] for run in runs.values() if run.get(category) is not None]
            means[family, category, name] = numbers
        whole = [[v for v in run.values() if v is not None] for run in runs.values()
                 if set(run) == categories]
        means[family, "average", name] = [statistics.fmean(run) for run in whole if run]
    order = [row[0] for row in base.execute(
        "SELECT family FROM cells GROUP BY family ORDER BY setting, value, dataset, detector, options")]
    return order, means


def cell_text(name, numbers):
    if not numbers:
        return "\u2013"
    text = value_text(name, statistics.fmean(numbers))
    if len(numbers) > 1:
        text += " \u00b1 " + value_text(name, statistics.stdev(numbers))
    return text


def value_text(name, value):
    if name.endswith("_bytes"):
        unit = 0
        while abs(value) >= 1000 and unit < 4:
            value, unit = value / 1000, unit + 1
        return ("%.0f" if unit == 0 or abs(value) >= 100 else "%.2f") % value + " " + \
            ("B", "kB", "MB", "GB", "TB")[unit]
    if name.endswith(("_seconds", "_per_second")):
        return "%.*f" % (0 if abs(value) >= 100 else 2 if abs(value) >= 1 else 5, value)
    if name.endswith("_images") and value == int(value):
        return "%d" % value
    return shown(value)


def check_store():
    root, tables, _ = read_report()
    order, means = store_means()
    counted = 0
    for at, family in enumerate(order, 1):
        table = root.find(".//*[@id='k%d']//%stable" % (at, X))
        names = [text_of(th) for th in table.find(X + "thead").iter(X + "th")][1:]
        for tr in table.find(X + "tbody"):
            category = text_of(tr[0])
            for name, td in zip(names, list(tr)[1:]):
                for span in [s for s in td if s.get("class") == "p"]:
                    td.remove(span)
                text = re.sub("\u00b1", " \u00b1", seen(td)).replace("  ", " ")
                check("by category", text == cell_text(name, means[family, category, name]),
                      category, name, text, cell_text(name, means[family, category, name]))
                counted += 1
    for table in root.findall(".//*[@id='comparison-1']/%sdiv/%stable" % (X, X)):
        names = [text_of(th) for th in table.find(X + "thead").iter(X + "th")][1:]
        for family, tr in zip(order, table.find(X + "tbody")):
            for name, td in zip(names, list(tr)[1:]):
                check("averages", seen(td) == cell_text(name, means[family, "average", name]), name,
                      seen(td))
                counted += 1
    check("values were compared", counted > 50, counted)
    check_cells(root)
    check_figures(root, means, order)
    vi = {(r["method"], r["metric"], r["dataset"]): r for r in tables["VI"]}
    row = vi["PatchCore", "image_auroc", "mvtec_ad"]
    check("the default configuration stands in the table", row["own_options"] == "" and
          "one of 2 configurations" in row["note"], row)
    check("an average over few categories says so", "5 of the 15" in row["note"] and
          math.isnan(row["difference"]))
    check("runs that lack a category are named", "1 runs lack" in row["note"], row["note"])
    check("best among ours", row["rank"] == "best" and
          vi["PaDiM", "image_auroc", "mvtec_ad"]["rank"] == "second")


def marks(figure):
    """Where a figure has its marks, by line; the legend's are left out."""
    found = []
    for path in figure.iter(SVG + "path"):
        place = re.fullmatch(r"translate\((.*) (.*)\)", path.get("transform") or "")
        if place and float(place[1]) != 590:
            found.append((float(place[1]), float(place[2])))
    return found


def figure_of(root, name):
    figure = root.find(".//*[@id='figure-%s']" % name)
    check("a figure is drawn: " + name, figure is not None)
    return figure


def check_line(statement, pixels, values):
    """Pixels are a linear function of values."""
    (p0, v0), (p1, v1) = min(zip(pixels, values), key=lambda x: x[1]), max(zip(pixels, values),
                                                                           key=lambda x: x[1])
    for p, v in zip(pixels, values):
        check(statement, abs(p0 + (p1 - p0) * (v - v0) / (v1 - v0) - p) < 0.11, p, v)


def check_figures(root, means, order):
    runs = sorted(v for family in order for v in means[family, "average", "image_auroc"])
    spread = sorted(x for x, _ in marks(figure_of(root, "spread-1")))
    check("a mark a seed", len(spread) == len(runs) == 9)
    check_line("marks stand where the seeds' means are", spread, runs)
    ranks = marks(figure_of(root, "ranks-1"))
    check("the better has the better rank", [x for x, _ in ranks] == sorted(x for x, _ in ranks) and
          len(ranks) == 3)
    check("mean ranks over categories", all(t in text_of(figure_of(root, "ranks-1"))
                                            for t in ("1.00", "2.00", "3.00")))
    bars = [float(r.get("width")) for r in figure_of(root, "stages-1").iter(SVG + "rect")][5:]
    check("a bar a configuration, as long as its time", len(bars) == 3 and
          abs(sorted(bars)[1] * 1.5 - sorted(bars)[2]) < 0.2, bars)
    bubbles = [c for c in figure_of(root, "speed-1").iter(SVG + "circle")]
    check("a disc a detector, in the figure and its legend, and published outlines",
          sum((c.get("class") or "").startswith("bubble") for c in bubbles) == 4 and
          sum((c.get("class") or "").startswith("outline") for c in bubbles) == 3)


def facts_of_cells(root):
    return {text_of(dt) for dt in root.find(".//*[@id='cells']").iter(X + "dt")}


def check_cells(root):
    base = sqlite3.connect(stem + ".sqlite")
    expected = collections.Counter(
        value_text(name, value) for name, value in
        base.execute("SELECT name, number FROM measurements WHERE number IS NOT NULL"))
    found = collections.Counter()
    for table in root.findall(".//*[@id='cells']//%stable" % X):
        found.update(t for t in (seen(td) for td in table.iter(X + "td")) if t != "\u2013")
    check("every value of every cell is shown once", expected == found)
    check("what all cells have the same stands under facts", facts_of_cells(root) == {"command", "threads", "finished"},
          facts_of_cells(root))


# ---- hostile names ----

def check_hostile():
    root, tables, _ = read_report()
    check("no element came from a name",
          not {local(e) for e in root.iter()} & {"img", "b", "i", "iframe", "object"})
    check("what differs between cells stands with them", {"machine", "device"} <= facts_of_cells(root))
    page = page_text(root)
    for name in ("<script>alert(1)</script>", "&amp; &lt;b&gt; &#0;", "Gl\u00fchlampe \u74f6 \U0001f4a1",
                 "]]> --> </style></details></section>", "a' onmouseover='alert(1)"):
        check("a name is shown as it is: " + name, name in page)
    check("nothing turns the direction of writing", not re.search("[\u202a-\u202e\u2066-\u2069]", page))
    check("no control characters", not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", page))
    with open(stem + ".csv", newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            check("a field that a spreadsheet would run",
                  not any(re.match(r"[=+@\t\r]|-[^0-9]", field) for field in row), row)


# ---- failures ----

def check_failures():
    root, _, _ = read_report()
    rows = [[text_of(cell) for cell in tr] for tr in root.find(".//*[@id='failures']").iter(X + "tr")]
    check("a failure has its message", rows[1:] == [
        ["patchcore", "noisy ratio=0.1", "mvtec_ad", "bottle", "3", "cannot read <a>.png: gone & lost",
         "noisy --category bottle"]], rows)


# ---- what was set up ----

def check_counts():
    _, _, setup = read_report()
    counted = {row["dataset"]: [] for row in setup["III"]}
    for row in setup["III"]:
        counted[row["dataset"]].append(row["ours"])
    check("counts of two categories are added", counted["btad"] == ["50", "7", "3", "2", "500", "1600"], counted)
    check("what was not counted is empty", counted["mpdd"] == [""] * 6 and counted["own"] == ["5", "6", "7", "1", "", ""])
    epochs = next(row for row in setup["V"] if row["detector"] == "cfa" and row["metric"] == "epochs")
    check("what the store has is beside the default", (epochs["ours"], epochs["published"], epochs["note"]) ==
          ("30", "50", "here 2, 50, 7"), epochs)


def check_costs():
    _, _, setup = read_report()
    lines = collections.defaultdict(dict)
    for row in setup["E"]:
        lines[row["detector"], row["setting"]][row["metric"]] = (row["ours"], row["published"])
    check("a detector that was measured alone has that line and no other",
          list(lines) == [("padim", "efficiency"), ("bgad", "supervised"), ("spade", "unsupervised")], list(lines))
    padim, bgad, spade = lines.values()
    check("means over categories, in the column's unit",
          (padim["fit, s"][0], padim["alone, ms"][0], padim["saved, MB"][0]) == ("1.50", "300", "6.00"), padim)
    check("one that needs labelled defects has its first supervised line", bgad["fit, s"][0] == "4.00", bgad)
    check("what was not measured is empty", padim["memory, MB"][0] == "" and spade["alone, ms"][0] == "")
    check("the published speed is beside ours", spade["images/s"] == ("7.00", "3.80"), spade)


{"page": read_report, "setup": check_counts, "costs": check_costs, "failures": check_failures, "paper": check_paper, "store": check_store, "hostile": check_hostile}[what]()
if failures:
    sys.exit("%s: %d of the report's statements are wrong" % (stem, len(failures)))
