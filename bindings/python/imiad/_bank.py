"""Memory banks."""
from __future__ import annotations

import ctypes
from typing import Any, NamedTuple, Optional

import numpy as np

from . import _abi
from ._data import Path
from ._library import Guard, Handle, Progress, lib, made, name_of, record, text

_STORAGES = {key[len("IMIAD_STORAGE_"):].lower(): value
             for key, value in _abi.ENUMS["imiad_storage"].items()}
_METHODS = {key[len("IMIAD_CORESET_"):].lower(): value
            for key, value in _abi.ENUMS["imiad_coreset_method"].items()}


class BankNeeds(NamedTuple):
    """What a bank will take, in bytes."""

    bank: int  # all rows and their sources
    selection: int  # beside them, while a coreset is chosen
    coreset: int  # what is kept, for a moment beside all rows
    index: int  # beside the coreset, while it is searched; 0 where none would be made
    peak: int  # the budget that all this needs to run at full speed


class Bank(Handle):
    """Rows of features, thinned by a coreset, searched exactly. Any number of threads may search one;
    whatever changes it needs it alone.

        with imiad.Bank(1024, storage="bfloat16") as bank:
            bank.add(rows)
            distances, indices = bank.search(queries, 3)

    dimension: columns
    budget_bytes: most that the bank and work on it may take together; 0: no bound
    storage: "float32", "bfloat16" or "float16", to which rows are rounded when they are added
    """

    _free = "imiad_bank_free"
    NO_SOURCE: int = -2 ** 63
    """The source of a row of no image in particular."""

    def __init__(self, dimension: int, budget_bytes: int = 0, *, storage: str = "float32"):
        out = ctypes.c_void_p()
        lib.imiad_bank_create_stored(out, dimension, _STORAGES[storage], budget_bytes)
        super().__init__(out)

    @classmethod
    def _of(cls, out: ctypes.c_void_p) -> "Bank":
        bank = cls.__new__(cls)
        Handle.__init__(bank, out)
        return bank

    @classmethod
    def load(cls, path: Path) -> "Bank":
        """A bank from the file that save wrote; it has no budget."""
        out = ctypes.c_void_p()
        lib.imiad_bank_load(out, name_of(path))
        return cls._of(out)

    @classmethod
    def map(cls, path: Path, *, verify: bool = True) -> "Bank":
        """A bank whose rows stay in the mapped file, so that processes share its memory.

        verify: False looks at the header alone: at once, but damage to the rows goes unseen
        """
        out = ctypes.c_void_p()
        lib.imiad_bank_map(out, name_of(path), verify)
        return cls._of(out)

    @staticmethod
    def estimate(rows: int, dimension: int, *, storage: str = "float32", sources: bool = False,
                 **coreset: Any) -> BankNeeds:
        """What a bank of so many rows will take, before any is there.

        sources: whether rows have one
        coreset: how it will be thinned, as in select; nothing: all rows are kept
        """
        out = made(_abi.imiad_bank_needs)
        lib.imiad_bank_estimate(out, rows, dimension, _STORAGES[storage], sources,
                                _coreset_options(**coreset) if coreset else None)
        return record(BankNeeds, out)

    def __len__(self) -> int:
        return lib.imiad_bank_rows(self)

    @property
    def dimension(self) -> int:
        return lib.imiad_bank_dimension(self)

    @property
    def storage(self) -> str:
        """How rows are stored."""
        stored = lib.imiad_bank_storage(self)
        return next(name for name, number in _STORAGES.items() if number == stored)

    @property
    def rows(self) -> np.ndarray:
        """A copy of the rows: rows x dimension, float32 whatever the storage."""
        return self.read(0, len(self))

    def read(self, first: int, count: int) -> np.ndarray:
        """A copy of some rows from `first` on: count x dimension, float32 whatever the storage."""
        out = np.empty((max(0, min(count, len(self))), self.dimension), np.float32)
        lib.imiad_bank_read(out.ctypes.data, self, first, count)
        return out

    @property
    def sources(self) -> Optional[np.ndarray]:
        """A copy of the source of each row, int64; None where no row has one."""
        address = lib.imiad_bank_sources(self)
        if not address:
            return None
        numbers = ctypes.cast(address, ctypes.POINTER(ctypes.c_int64))
        return np.ctypeslib.as_array(numbers, (len(self),)).copy()

    @property
    def digest(self) -> str:
        """SHA-256 of what the bank means: storage, rows and sources."""
        out = ctypes.create_string_buffer(65)
        lib.imiad_bank_digest(out, self)
        return text(out.value)

    def set_budget(self, budget_bytes: int) -> None:
        """Another budget; 0: no bound."""
        lib.imiad_bank_set_budget(self, budget_bytes)

    def _given(self, rows: Any) -> np.ndarray:
        return _rows_of(rows, self.dimension)

    def add(self, rows: Any, sources: Any = None) -> None:
        """Appends rows, count x dimension.

        sources: the number of the image that each row came from, or one number for all; None: of none
        """
        rows = self._given(rows)
        sources = _sources_of(sources, len(rows))
        if sources is None:
            lib.imiad_bank_add(self, rows.ctypes.data, len(rows))
        else:
            lib.imiad_bank_add_from(self, rows.ctypes.data, len(rows), sources.ctypes.data)

    def merge(self, other: "Bank") -> None:
        """Appends the rows of another bank of the same dimension, with their sources."""
        lib.imiad_bank_merge(self, other)

    def forget(self, source: int = NO_SOURCE) -> int:
        """Removes the rows of a source, or those without one; how many went."""
        removed = ctypes.c_int64()
        lib.imiad_bank_forget(self, source, ctypes.addressof(removed))
        return removed.value

    def select(self, ratio: float = 0.1, *, rows: int = 0, method: str = "greedy", exact: bool = False,
               projection: int = 128, starts: int = 10, seed: int = 0,
               progress: Optional[Progress] = None) -> np.ndarray:
        """The rows of a coreset, in the order of the picks; changes nothing.

        ratio: of the rows to keep
        rows: how many to keep, instead of the ratio; 0: the ratio says it
        method: "greedy", k-center as in PatchCore's official code, or "random"
        exact: distances from every row, not from `starts` random ones
        projection: columns of the random projection that distances use; 0: none
        """
        options = _coreset_options(ratio=ratio, rows=rows, method=method, exact=exact,
                                   projection=projection, starts=starts, seed=seed)
        count = min(rows, len(self)) if rows else lib.imiad_coreset_size(len(self), ratio)
        out = np.empty(max(0, count), np.int64)
        with Guard() as guard:
            lib.imiad_bank_select(out.ctypes.data, self, options, guard.progress(progress), None)
        return out

    def keep(self, rows: Any) -> None:
        """Keeps only the given rows, in the given order."""
        rows = np.ascontiguousarray(rows, np.int64)
        lib.imiad_bank_keep(self, rows.ctypes.data, rows.size)

    def recompress(self, *, storage: Optional[str] = None, bytes: int = 0, rows: int = 0,
                   progress: Optional[Progress] = None, **coreset: Any) -> None:
        """Thins the bank to as many rows as both bounds allow, then rounds them to the storage.

        storage: as in Bank(); None: as it is
        bytes: rows and sources may take at most; 0: no bound
        rows: at most; 0: no bound
        coreset: how rows are chosen: method, exact, projection, starts, seed as in select
        """
        to = made(_abi.imiad_recompression)
        to.storage = _STORAGES[storage] if storage else 0
        to.bytes, to.rows, to.coreset = bytes, rows, _coreset_options(**coreset)
        with Guard() as guard:
            lib.imiad_bank_recompress(self, to, guard.progress(progress), None)

    def search(self, queries: Any, k: int = 1, *, device: Optional[str] = None,
               progress: Optional[Progress] = None) -> tuple[np.ndarray, np.ndarray]:
        """(squared distances, rows) of the k nearest rows of each query; exact, ascending.

        device: such as "cuda", which holds a copy of the rows until the bank changes: the same
            results to the last bit; None: the search of the CPU that needs no copy
        progress: called during a search without a device
        """
        if device is not None and progress is not None:
            raise TypeError("a search on a device reports no progress")
        queries = self._given(queries)
        distances = np.empty((len(queries), max(k, 0)), np.float32)
        indices = np.empty(distances.shape, np.int64)
        out = distances.ctypes.data, indices.ctypes.data, self
        given = queries.ctypes.data, len(queries), k
        if device is not None:
            lib.imiad_bank_search_on(*out, name_of(device), *given)
            return distances, indices
        with Guard() as guard:
            lib.imiad_bank_search_reporting(*out, *given, guard.progress(progress), None)
        return distances, indices

    def save(self, path: Path) -> None:
        """Writes one file, safetensors with a checksum."""
        lib.imiad_bank_save(self, name_of(path))


class BankStream(Handle):
    """Rows that are never all in memory, and banks of bounded size from them: blocks of rows are thinned,
    joined and thinned again as they come.

        with imiad.BankStream(128, rows=10000) as stream:
            for rows in pieces:
                stream.add(rows)
            bank = stream.bank()

    dimension: columns
    rows: that a bank which comes out has at most
    block_rows: rows that are gathered before they are thinned
    kept_rows: rows that are left of a block and of two joined ones; 0: as many as `rows`
    storage: of the banks that come out, as in Bank()
    budget_bytes: most that everything may take together; 0: no bound
    """

    _free = "imiad_bank_stream_free"

    def __init__(self, dimension: int, *, rows: int = 10000, block_rows: int = 16384, kept_rows: int = 0,
                 storage: str = "float32", budget_bytes: int = 0):
        options = _stream_options(rows, block_rows, kept_rows, storage, budget_bytes)
        out = ctypes.c_void_p()
        lib.imiad_bank_stream_create(out, dimension, options)
        super().__init__(out)
        self._dimension = dimension

    @staticmethod
    def estimate(count: int, dimension: int, *, rows: int = 10000, block_rows: int = 16384, kept_rows: int = 0,
                 storage: str = "float32") -> int:
        """Most bytes that a stream of `count` rows takes, with a bank that is made from it."""
        out = ctypes.c_uint64()
        lib.imiad_bank_stream_estimate(ctypes.addressof(out), count, dimension,
                                       _stream_options(rows, block_rows, kept_rows, storage, 0))
        return out.value

    def __len__(self) -> int:
        """How many rows were added so far."""
        return lib.imiad_bank_stream_rows(self)

    def add(self, rows: Any, sources: Any = None) -> None:
        """Adds rows, count x dimension, with sources as in Bank.add."""
        rows = _rows_of(rows, self._dimension)
        sources = _sources_of(sources, len(rows))
        lib.imiad_bank_stream_add(self, rows.ctypes.data, len(rows), None if sources is None else sources.ctypes.data)

    def bank(self) -> Bank:
        """A new bank of what was added so far; the stream goes on as if nothing had happened."""
        out = ctypes.c_void_p()
        lib.imiad_bank_stream_bank(out, self)
        return Bank._of(out)


def _rows_of(rows: Any, dimension: int) -> np.ndarray:
    rows = np.ascontiguousarray(rows, np.float32)
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise TypeError(f"rows are count x {dimension}, not {rows.shape}")
    return rows


def _sources_of(sources: Any, count: int) -> Optional[np.ndarray]:
    if sources is None:
        return None
    sources = np.asarray(sources, np.int64)
    if sources.shape not in ((), (count,)):
        raise TypeError(f"{count} rows need one source or one each, not {sources.shape}")
    return np.ascontiguousarray(np.broadcast_to(sources, count))


def _stream_options(rows: int, block_rows: int, kept_rows: int, storage: str, budget_bytes: int) -> Any:
    options = made(_abi.imiad_bank_stream_options)
    options.rows, options.block_rows, options.kept_rows = rows, block_rows, kept_rows
    options.storage, options.budget_bytes = _STORAGES[storage], budget_bytes
    return options


def _coreset_options(*, ratio: float = 0.1, rows: int = 0, method: str = "greedy", exact: bool = False,
                     projection: int = 128, starts: int = 10, seed: int = 0) -> Any:
    options = made(_abi.imiad_coreset_options)
    options.ratio, options.rows, options.method = ratio, rows, _METHODS[method]
    options.exact, options.projection, options.starts, options.seed = exact, projection, starts, seed
    return options
