"""Sentences of README.md and docs/ that a reader has to begin twice: none has more than 35 words.

usage: test_sentences.py SOURCE_FOLDER

A sentence ends at a full stop, a question mark or an exclamation mark, and with its paragraph, its item of a list or
its cell of a table. Blocks of code are none; code within a sentence is one word.
"""
import pathlib
import re
import sys

MOST_WORDS = 35
ITEM = re.compile(r"^\s*(?:[-*]|\d+\.)\s+")
NUMBERED = re.compile(r"^\s*\d+\.\s")
SHORT = re.compile(r"\b(e\.g|i\.e|etc|vs|Fig|Eq|al|cf|no|approx)\.")


def paragraphs(text):
    """(line number, text) of everything that is read as one."""
    text = re.sub(r"<!--.*?-->", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
    inside, begun, number, listed = False, [], 0, False
    for i, line in enumerate([*text.splitlines(), ""], 1):
        fence = line.lstrip().startswith("```")
        # as in Markdown, a line of a paragraph that happens to begin with "0." is no item
        item = ITEM.match(line) and (not begun or listed or not NUMBERED.match(line))
        ends = fence or inside or not line.strip() or line.startswith(("#", "|")) or item
        if begun and ends:
            yield number, " ".join(begun)
            begun = []
        if fence:
            inside = not inside
        elif inside or not line.strip() or line.startswith("#") or (line.startswith("    ") and not begun):
            continue
        elif line.startswith("|"):
            yield from ((i, cell) for cell in line.strip("|").split("|"))
        else:
            number, listed = (number, listed) if begun else (i, bool(item))
            begun.append((ITEM.sub("", line) if item else line).strip())


def sentences(text):
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", text)
    text = SHORT.sub(r"\1", text)
    return re.split(r"(?<=[.?!])[)*_\"]*\s+", text)


def words(sentence):
    return [word for word in sentence.split() if re.search(r"\w", word)]


source = pathlib.Path(sys.argv[1])
pages = [source / "README.md", *sorted((source / "docs").rglob("*.md"))]
count, wrong = 0, []
for page in pages:
    for number, text in paragraphs(page.read_text(encoding="utf-8")):
        for sentence in sentences(text):
            count += 1
            if len(words(sentence)) > MOST_WORDS:
                wrong.append(f"{page.relative_to(source)}:{number}: {len(words(sentence))} words: {sentence}")
print("\n".join(wrong))
print(f"sentences: {count - len(wrong)} passed, {len(wrong)} failed, 0 skipped")
sys.exit(bool(wrong) or not count)
