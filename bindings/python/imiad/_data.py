"""Datasets and splits."""
from __future__ import annotations

import ctypes
import os
from typing import Any, Iterator, NamedTuple, Optional, Sequence, Union

import numpy as np

from . import _abi
from ._images import taken
from ._library import Error, Handle, Status, lib, made, name_of, record, text
from ._options import packed

Path = Union[str, "os.PathLike[str]"]
SUBSETS = {"train": _abi.IMIAD_SUBSET_TRAIN, "validation": _abi.IMIAD_SUBSET_VALIDATION,
           "test": _abi.IMIAD_SUBSET_TEST}
_SUBSET_NAMES = {number: name for name, number in SUBSETS.items()}
_PROVENANCES = {value: key[len("IMIAD_PROVENANCE_"):].lower()
                for key, value in _abi.ENUMS["imiad_provenance"].items()}


class Sample(NamedTuple):
    """One image of a dataset."""

    index: int
    subset: str  # "train", "validation" or "test": the official split
    category: str
    label: int  # 1 defective, 0 good
    has_mask: bool  # the ground truth is known
    kind: str  # "good" or the kind of defect
    path: str  # relative to the root


class CategoryInfo(NamedTuple):
    """How many images of which kind a category has."""

    name: str
    train_good: int
    train_defective: int
    validation: int
    test_good: int
    test_defective: int
    missing_masks: int


class OfficialCounts(NamedTuple):
    """What the publisher's copy of a category holds."""

    provenance: str  # "verified", "secondary" or "recalled"
    good: int
    defective: int
    has_split: int
    train_good: int
    train_defective: int
    validation: int
    test_good: int
    test_defective: int


class Defect(NamedTuple):
    """A kind of defect that a dataset describes (MVTec LOCO AD)."""

    pixel_value: int
    name: str
    saturation_threshold: float
    relative_saturation: int


class Dataset(Handle):
    """The images of one category or many, with labels, masks and the official split.

        with imiad.Dataset("mvtec_ad", "/data/mvtec_ad", categories=["bottle"]) as dataset: ...

    name: a registered dataset, see imiad.datasets.names()
    root: the folder that it lies in; none for a procedural one
    options: by keyword, see imiad.datasets.schema(name)

    Indexing gives a Sample. Any number of threads may read it.
    """

    _free = "imiad_dataset_free"

    def __init__(self, name: str, root: Path = "", /, **options: Any):
        out = ctypes.c_void_p()
        lib.imiad_dataset_open(out, name_of(name), name_of(root), *packed(options))
        super().__init__(out)

    @classmethod
    def _of(cls, pointer: ctypes.c_void_p) -> "Dataset":
        dataset = cls.__new__(cls)
        Handle.__init__(dataset, pointer)
        return dataset

    @property
    def name(self) -> str:
        return text(lib.imiad_dataset_name(self))

    @property
    def root(self) -> str:
        return text(lib.imiad_dataset_root(self))

    def option(self, name: str) -> Optional[str]:
        """The value of an option as text, given or default; None where there is no such option."""
        value = lib.imiad_dataset_option(self, name_of(name))
        return None if value is None else text(value)

    @property
    def categories(self) -> list[str]:
        count = lib.imiad_dataset_category_count(self)
        return [text(lib.imiad_dataset_category(self, i)) for i in range(count)]

    def _category(self, category: Union[str, int]) -> int:
        if isinstance(category, int):
            return category
        known = self.categories
        if category not in known:
            raise Error(Status.NOT_FOUND, f"dataset {self.name} has no category {category!r}: "
                                          f"there are {', '.join(known)}")
        return known.index(category)

    def category_info(self, category: Union[str, int]) -> CategoryInfo:
        out = made(_abi.imiad_category_info)
        lib.imiad_dataset_category_info(out, self, self._category(category))
        return record(CategoryInfo, out)

    def official_counts(self, category: Union[str, int]) -> OfficialCounts:
        """Error NOT_FOUND where nothing is known of that category."""
        out = made(_abi.imiad_official_counts)
        lib.imiad_dataset_official_counts(out, self, self._category(category))
        return record(OfficialCounts, out, provenance=_PROVENANCES[out.provenance])

    def official_kind(self, category: Union[str, int], kind: str) -> int:
        """The official number of defective images of one kind."""
        out = ctypes.c_size_t()
        lib.imiad_dataset_official_kind(ctypes.byref(out), self, self._category(category),
                                        name_of(kind))
        return out.value

    @property
    def official_categories(self) -> list[str]:
        """The categories of the publisher's copy."""
        found: list[str] = []
        while (name := lib.imiad_dataset_official_category(self, len(found))) is not None:
            found.append(text(name))
        return found

    def defects(self, category: Union[str, int]) -> list[Defect]:
        """The kinds of defect that a category describes; empty for datasets that describe none."""
        index, found = self._category(category), []
        for i in range(lib.imiad_dataset_defect_count(self, index)):
            out = made(_abi.imiad_defect_info)
            lib.imiad_dataset_defect(out, self, index, i)
            found.append(record(Defect, out))
        return found

    def find_defect(self, category: Union[str, int], pixel_value: int) -> Defect:
        out = made(_abi.imiad_defect_info)
        lib.imiad_dataset_find_defect(out, self, self._category(category), pixel_value)
        return record(Defect, out)

    def __len__(self) -> int:
        return lib.imiad_dataset_sample_count(self)

    def __getitem__(self, index: int) -> Sample:
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"sample {index} of {count}")
        index %= count
        out = made(_abi.imiad_sample)
        lib.imiad_dataset_sample(out, self, index)
        return sample(out, index, text(lib.imiad_dataset_category(self, out.category)))

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def image_size(self, index: int) -> tuple[int, int]:
        """(width, height) of a sample's image, from its file's header."""
        width, height = ctypes.c_int32(), ctypes.c_int32()
        lib.imiad_dataset_image_size(ctypes.byref(width), ctypes.byref(height), self, index)
        return width.value, height.value

    def _described(self) -> str:
        root = text(lib.imiad_dataset_root(self))
        return (f"{text(lib.imiad_dataset_name(self))}{' at ' if root else ''}{root}, "
                f"{lib.imiad_dataset_sample_count(self)} images")

    def group(self, index: int) -> Optional[str]:
        """The name of the group of images that show one thing; None for an image that stands alone."""
        name = lib.imiad_dataset_sample_group(self, index)
        return None if name is None else text(name)

    def read_image(self, index: int, deep: bool = False) -> np.ndarray:
        """The image of a sample at its native size; with `deep` as detectors are shown it: grey of more than
        8 bits is uint16."""
        out = ctypes.POINTER(_abi.imiad_image)()
        (lib.imiad_dataset_read_deep_image if deep else lib.imiad_dataset_read_image)(out, self, index)
        return taken(out)

    def read_mask(self, index: int) -> np.ndarray:
        """The ground truth of a sample, 0 or 255, at its image's size."""
        out = ctypes.POINTER(_abi.imiad_image)()
        lib.imiad_dataset_read_mask(out, self, index)
        return taken(out)

    def mask_channels(self, index: int) -> int:
        """How many masks of their own the defects of an image have."""
        return lib.imiad_dataset_mask_channels(self, index)

    def read_mask_channel(self, index: int, channel: int) -> np.ndarray:
        out = ctypes.POINTER(_abi.imiad_image)()
        lib.imiad_dataset_read_mask_channel(out, self, index, channel)
        return taken(out)

    @property
    def digest(self) -> str:
        """SHA-256 over the sample list and file sizes, or the options of a procedural dataset."""
        out = ctypes.create_string_buffer(65)
        lib.imiad_dataset_digest(out, self)
        return text(out.value)

    def export(self, folder: Path) -> None:
        """Writes every image and mask below an empty folder in MVTec AD's layout, as PNG."""
        lib.imiad_dataset_export(self, name_of(folder))

    def split(self, category: str, setting: str = "unsupervised", /, **options: Any) -> "Split":
        """Which samples train and which test, as a setting of the benchmark draws them."""
        return Split(self, category, setting, **options)

    def read_split(self, path: Path) -> "Split":
        """A split of the very images that a selection file names."""
        out = ctypes.c_void_p()
        lib.imiad_split_read(out, self, name_of(path))
        return Split._of(out, self)


def sample(out: Any, index: int, category: str) -> Sample:
    return record(Sample, out, index=index, category=category, has_mask=bool(out.has_mask),
                  subset=_SUBSET_NAMES[out.subset])


class Split(Handle):
    """Which samples train and which test.

    setting: see imiad.settings.names(); options by keyword: imiad.settings.schema(setting)

    Any number of threads may read it. It keeps its dataset alive.
    """

    _free = "imiad_split_free"

    def __init__(self, dataset: Dataset, category: str, setting: str = "unsupervised", /,
                 **options: Any):
        out = ctypes.c_void_p()
        lib.imiad_split_create(out, dataset, name_of(category), name_of(setting), *packed(options))
        super().__init__(out)
        self.dataset = dataset

    @classmethod
    def _of(cls, pointer: ctypes.c_void_p, dataset: Dataset) -> "Split":
        split = cls.__new__(cls)
        Handle.__init__(split, pointer)
        split.dataset = dataset
        return split

    @classmethod
    def join(cls, splits: Sequence["Split"]) -> "Split":
        """One that trains and tests on what all of these do: for one detector of several categories."""
        out = ctypes.c_void_p()
        pointers = (ctypes.c_void_p * max(1, len(splits)))(*(split._pointer for split in splits))
        lib.imiad_split_join(out, pointers, len(splits))
        return cls._of(out, splits[0].dataset)

    @property
    def category(self) -> str:
        return text(lib.imiad_split_category(self))

    @property
    def setting(self) -> str:
        return text(lib.imiad_split_setting(self))

    def option(self, name: str) -> Optional[str]:
        """The value of an option as text, given or default; None where there is no such option."""
        value = lib.imiad_split_option(self, name_of(name))
        return None if value is None else text(value)

    @property
    def train(self) -> list[int]:
        """Indices into the dataset, one for each training image."""
        return [lib.imiad_split_train(self, i) for i in range(lib.imiad_split_train_count(self))]

    @property
    def test(self) -> list[int]:
        """Indices into the dataset, one for each test image."""
        return [lib.imiad_split_test(self, i) for i in range(lib.imiad_split_test_count(self))]

    @property
    def train_labels(self) -> list[int]:
        """What training is told of each training image: 0 normal, 1 defective."""
        count = lib.imiad_split_train_count(self)
        return [lib.imiad_split_train_label(self, i) for i in range(count)]

    @property
    def train_roles(self) -> list[str]:
        """What each training image is there for: "train", "train_shot", "train_noise", ..."""
        count = lib.imiad_split_train_count(self)
        return [text(lib.imiad_split_train_role(self, i)) for i in range(count)]

    @property
    def train_augmentations(self) -> list[str]:
        """What each training image goes through: "" or "rotation 72"."""
        out, found = ctypes.create_string_buffer(128), []
        for i in range(lib.imiad_split_train_count(self)):
            lib.imiad_split_train_augmentation(out, self, i)
            found.append(text(out.value))
        return found

    @property
    def drawn_count(self) -> int:
        return lib.imiad_split_drawn_count(self)

    @property
    def drawn_ratio(self) -> float:
        return lib.imiad_split_drawn_ratio(self)

    def _described(self) -> str:
        return (f"{text(lib.imiad_split_setting(self))} of {text(lib.imiad_split_category(self))}, "
                f"{lib.imiad_split_train_count(self)} to train, {lib.imiad_split_test_count(self)} to test")

    def check(self) -> "Split":
        """Raises what listing knows would stop `evaluate`: a defective test image whose mask is missing
        while missing_mask=error. Reads no file: call it before a long fit."""
        lib.imiad_split_check(self)
        return self

    def write(self, path: Path) -> None:
        """Writes a selection file: the unit in which a run is repeated elsewhere."""
        lib.imiad_split_write(self, name_of(path))
