"""The store of finished cells, and the figures that IM-IAD published."""
from __future__ import annotations

import ctypes
import os
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Optional, Union

import numpy as np

from . import _abi
from ._data import Path, Split
from ._library import Error, Guard, Handle, Status, lib, made, name_of, record, text
from ._models import Detector
from ._options import packed, unpacked


class Cell(NamedTuple):
    """A finished run of one detector on one category in one setting with one seed."""

    setting: str
    value: str
    dataset: str
    dataset_digest: str
    category: str
    detector: str
    options: dict[str, str]
    backbone: str
    weights: str
    weights_digest: str
    precision: str
    evaluation: str
    seed: int
    dataset_root: str
    dataset_options: dict[str, str]
    device: str
    machine: str
    command: str
    facts: dict[str, str]
    library_version: str
    torch_version: str
    time: str
    threads: int
    values: dict[str, float]  # NaN where one does not exist
    evidence: dict[str, str]  # what to look at: docs/results.md


class Failure(NamedTuple):
    """A cell that failed, and why."""

    setting: str
    value: str
    dataset: str
    category: str
    detector: str
    backbone: str
    evaluation: str
    seed: int
    command: str
    time: str
    message: str


class Summary(NamedTuple):
    """One value of a cell over its repetitions."""

    setting: str
    value: str
    dataset: str
    category: str
    detector: str
    backbone: str
    evaluation: str
    name: str
    mean: float
    deviation: float  # NaN for fewer than two runs
    runs: int
    undefined: int
    categories: int
    incomplete: int


class Published(NamedTuple):
    """One figure of the IM-IAD results tables."""

    source: str
    setting: str
    value: str
    dataset: str
    category: str
    method: str
    detector: str
    metric: str
    figure: float
    mark: str  # "", "trend", "category", "doubtful" or "wrong"
    reason: str
    categories: int


_KEY = ("setting", "value", "dataset", "category", "detector", "backbone", "evaluation")


class Results(Handle):
    """One open file of finished cells; any number of processes may write to it at the same time.

    read_only: the file must exist and stays as it is

    Filters of the methods below are the keywords setting, value, dataset, category, detector, backbone.
    """

    _free = "imiad_results_free"

    def __init__(self, path: Path, *, read_only: bool = False):
        out = ctypes.c_void_p()
        open_store = lib.imiad_results_open_to_read if read_only else lib.imiad_results_open
        open_store(out, name_of(path))
        super().__init__(out)

    def _cell(self, split: Split, detector: Detector, evaluation: str, seed: int) -> Any:
        cell = made(_abi.imiad_cell)
        lib.imiad_results_describe(cell, self, split, detector)
        cell.evaluation, cell.seed = name_of(evaluation), seed
        return cell

    def has(self, split: Split, detector: Detector, *, evaluation: str = "", seed: int = 0) -> bool:
        """Whether the cell that a split and a detector (fitted or not) describe is finished."""
        out = ctypes.c_int()
        lib.imiad_results_has(ctypes.byref(out), self, self._cell(split, detector, evaluation, seed))
        return bool(out.value)

    def put(self, split: Split, detector: Detector, values: Mapping[str, Optional[float]], *,
            evaluation: str = "", seed: int = 0, command: str = "",
            facts: Mapping[str, Any] = {}, evidence: Mapping[str, Any] = {}) -> None:
        """Puts a finished cell in place of what was there; None is a value that does not exist."""
        cell = self._cell(split, detector, evaluation, seed)
        cell.command = name_of(command)
        cell.facts, cell.fact_count = packed(facts)
        cell.evidence, cell.evidence_count = packed(evidence)
        texts = (ctypes.c_char_p * max(1, len(values)))(*(name_of(name) for name in values))
        numbers = (ctypes.c_double * max(1, len(values)))(
            *(float("nan") if value is None else value for value in values.values()))
        lib.imiad_results_put(self, cell, texts, numbers, len(values))

    def put_failure(self, split: Split, detector: Detector, message: str, *, evaluation: str = "",
                    seed: int = 0, command: str = "") -> None:
        """Puts why a cell failed; putting the cell takes it away."""
        cell = self._cell(split, detector, evaluation, seed)
        cell.command = name_of(command)
        lib.imiad_results_put_failure(self, cell, name_of(message))

    def merge(self, *stores: Path,
              on_conflict: Optional[Callable[[Cell, Cell, str, str], None]] = None) -> None:
        """Adds the cells and failures of other stores, all of them or, after any error, none.

        on_conflict: called with what this store keeps, what another one brings, that one's path, and the name of the
        first value that differs; without it a conflict is an error
        """
        def show(_: Any, kept: Any, brought: Any, path: Any, name: Any) -> int:
            assert on_conflict is not None
            on_conflict(_finished(kept.contents), _finished(brought.contents), text(path), text(name))
            return _abi.IMIAD_OK

        paths = (ctypes.c_char_p * max(1, len(stores)))(*map(name_of, stores))
        with Guard() as guard:
            function = _abi.imiad_conflict_function()  # none: a conflict is an error
            if on_conflict is not None:
                function = guard.callback(_abi.imiad_conflict_function, show, _abi.IMIAD_CANCELLED)
            lib.imiad_results_merge(self, paths, len(stores), function, None)

    def _walk(self, function: Any, prototype: Any, read: Callable[[Any], Any],
              chosen: Mapping[str, str]) -> list[Any]:
        found: list[Any] = []

        def show(_: Any, at: Any) -> int:
            found.append(read(at.contents))
            return _abi.IMIAD_OK

        with Guard() as guard:
            function(self, _filter(chosen), guard.callback(prototype, show, _abi.IMIAD_CANCELLED), None)
        return found

    def cells(self, **chosen: str) -> list[Cell]:
        """The finished cells."""
        return self._walk(lib.imiad_results_each, _abi.imiad_finished_function, _finished, chosen)

    def failures(self, **chosen: str) -> list[Failure]:
        """The cells that failed."""
        def read(at: Any) -> Failure:
            return record(Failure, at.cell.contents, time=text(at.time), message=text(at.message))
        return self._walk(lib.imiad_results_each_failure, _abi.imiad_failed_function, read, chosen)

    def array(self, **chosen: str) -> "np.ndarray[Any, Any]":
        """The finished cells as a structured array: what tells them apart, then a column for each value.

        A value that a cell does not have, or that does not exist, is NaN.
        """
        cells = self.cells(**chosen)
        names = sorted({name for cell in cells for name in cell.values} - {*_KEY, "seed"})
        widths = {key: max([1, *(len(getattr(cell, key)) for cell in cells)]) for key in _KEY}
        columns = [(key, f"U{widths[key]}") for key in _KEY] + [("seed", "i8")] + [(name, "f8") for name in names]
        rows = [tuple(getattr(cell, key) for key in _KEY) + (cell.seed,)
                + tuple(cell.values.get(name, np.nan) for name in names) for cell in cells]
        return np.array(rows, dtype=columns)

    def frame(self, **chosen: str) -> Any:
        """The same as a pandas.DataFrame; needs pandas."""
        import pandas
        return pandas.DataFrame.from_records(self.array(**chosen))

    def summaries(self, **chosen: str) -> list[Summary]:
        """Means and deviations over repetitions, by category, then "average"."""
        def read(at: Any) -> Summary:
            key = {field: text(getattr(at.cell.contents, field)) for field in _KEY}
            return record(Summary, at, **key)
        return self._walk(lib.imiad_results_summarize, _abi.imiad_summary_function, read, chosen)

    def write_csv(self, path: Path, **chosen: str) -> None:
        """A line for each value of each cell."""
        lib.imiad_results_write_csv(self, _filter(chosen), name_of(path))

    def write_json(self, path: Path, **chosen: str) -> None:
        """An array of cells with all that is known of each."""
        lib.imiad_results_write_json(self, _filter(chosen), name_of(path))

    def write_summary(self, path: Path, **chosen: str) -> None:
        """A line for each summary."""
        lib.imiad_results_write_summary(self, _filter(chosen), name_of(path))

    def write_points(self, path: Path, names: Iterable[str], **chosen: str) -> None:
        """A line for each configuration and category with the means of the named values."""
        texts = [name_of(name) for name in names]
        array = (ctypes.c_char_p * max(1, len(texts)))(*texts)
        lib.imiad_results_write_points(self, _filter(chosen), array, len(texts), name_of(path))

    def write_report(self, path: Path, format: str = "html", *, title: Optional[str] = None,
                     command: Optional[str] = None, **chosen: str) -> None:
        """A report with the paper's tables, ours beside the published figures.

        format: "html" (one page with everything), "csv", "markdown" or "latex" (the tables alone)
        command: what to type to make it again
        """
        formats = {"html": _abi.IMIAD_REPORT_HTML, "csv": _abi.IMIAD_REPORT_CSV,
                   "markdown": _abi.IMIAD_REPORT_MARKDOWN, "latex": _abi.IMIAD_REPORT_LATEX}
        if format not in formats:
            raise ValueError(f"no report has the format {format!r}: {', '.join(formats)}")
        options, cells = made(_abi.imiad_report_options), _filter(chosen)
        options.format, options.filter = formats[format], ctypes.pointer(cells)
        options.title = None if title is None else name_of(title)
        options.command = None if command is None else name_of(command)
        lib.imiad_report_write(self, options, name_of(path))


def _filter(chosen: Mapping[str, str]) -> Any:
    out = made(_abi.imiad_results_filter)
    for name, value in chosen.items():
        if not hasattr(out, name) or name == "struct_size":
            raise TypeError(f"cells cannot be chosen by {name!r}")
        setattr(out, name, name_of(value))
    return out


def _finished(at: Any) -> Cell:
    cell = at.cell.contents
    names = ctypes.cast(at.names, ctypes.POINTER(ctypes.c_char_p))
    values = ctypes.cast(at.values, ctypes.POINTER(ctypes.c_double))
    kept = {field: getattr(at, field) for field in ("library_version", "torch_version", "time")}
    return record(Cell, cell, options=unpacked(cell.options, cell.option_count),
                  dataset_options=unpacked(cell.dataset_options, cell.dataset_option_count),
                  facts=unpacked(cell.facts, cell.fact_count), threads=at.threads,
                  evidence=unpacked(cell.evidence, cell.evidence_count),
                  values={text(names[i]): values[i] for i in range(at.count)},
                  **{field: text(value) for field, value in kept.items()})


def _published(out: Any) -> Published:
    return record(Published, out, mark=text(lib.imiad_mark_name(out.mark)))


def published() -> list[Published]:
    """All figures of IM-IAD's tables."""
    found = []
    for i in range(lib.imiad_published_count()):
        out = made(_abi.imiad_published)
        lib.imiad_published_get(out, i)
        found.append(_published(out))
    return found


def find_published(setting: str, dataset: str, detector: str, metric: str, *, value: str = "",
                   category: str = "average") -> Optional[Published]:
    """The published figure for a cell or a summary; None where there is none."""
    out = made(_abi.imiad_published)
    try:
        lib.imiad_published_find(out, *map(name_of, (setting, value, dataset, category, detector, metric)))
    except Error as error:
        if error.status != Status.NOT_FOUND:
            raise
        return None
    return _published(out)


_FORMATS = {".html": "html", ".htm": "html", ".csv": "csv", ".md": "markdown", ".tex": "latex"}


def report(store: Union[Path, Results], path: Path, *, title: Optional[str] = None,
           command: Optional[str] = None, **chosen: str) -> None:
    """Writes a report of a store: the end of the file's name says which, .html, .csv, .md or .tex."""
    ending = os.path.splitext(os.fsdecode(path))[1].lower()
    if ending not in _FORMATS:
        raise ValueError(f"the end of {os.fsdecode(path)!r} names no report: {', '.join(_FORMATS)}")
    if isinstance(store, Results):
        store.write_report(path, _FORMATS[ending], title=title, command=command, **chosen)
        return
    with Results(store, read_only=True) as results:
        results.write_report(path, _FORMATS[ending], title=title, command=command, **chosen)
