"""Detectors and datasets written in Python, which then go through every protocol."""
from __future__ import annotations

import ctypes
import io
import itertools
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Optional, Sequence, Union

import numpy as np

from . import _abi
from ._data import SUBSETS, Dataset, Path, Sample, sample
from ._images import copied, given, given_mask
from ._library import failing, lib, made, name_of, text
from ._options import Option, packed, packed_schema, python_value, read_schema

_kept: list[Any] = []  # what the library holds pointers to, for the life of the process


# ---- detectors ----

ROLES = ("normal", "shot", "anomaly", "noise", "source")  # what a training image is to the detector


class TrainingImage(NamedTuple):
    """What is known of a training image."""

    label: int  # 1 defective
    role: str  # one of ROLES
    category: int  # in the dataset, or as the caller of fit_labelled numbered it


class TrainingBatch:
    """Images of one size. Arrays are copied when they are first asked for, so they may be kept.

    While training it also says what is known of each image: indices, labels, roles and, with
    takes_masks, masks. While scoring these are None.
    """

    def __init__(self, at: Any):
        self._at: Optional[Any] = at
        self._images: Optional[list[np.ndarray]] = None
        self._features: Optional[dict[str, np.ndarray]] = None
        self._masks: Optional[list[np.ndarray]] = None
        self.width: int = at.width
        self.height: int = at.height
        self._count: int = at.count
        self.indices = _numbers(at.indices, at.count, ctypes.c_size_t)
        self.labels = _numbers(at.labels, at.count, ctypes.c_int32)
        self.categories = _numbers(at.categories, at.count, ctypes.c_int32)
        roles = _numbers(at.roles, at.count, ctypes.c_int32)
        self.roles: Optional[list[str]] = None if roles is None else [ROLES[role] for role in roles]

    def __len__(self) -> int:
        return self._count

    def _open(self) -> Any:
        if self._at is None:
            raise ValueError("this batch is over: ask for what it has before the next one")
        return self._at

    @property
    def images(self) -> list[np.ndarray]:
        """height x width x 3 bytes each, after resize and crop, before normalisation."""
        if self._images is None:
            at = self._open()
            self._images = [copied(at.images[i]) for i in range(at.count)]  # type: ignore[misc]
        return self._images

    @property
    def masks(self) -> Optional[list[np.ndarray]]:
        """height x width booleans each, True where defective; None while scoring, or where masks are
        not taken."""
        if self._masks is None:
            at = self._open()
            if not at.masks:
                return None
            self._masks = [copied(at.masks[i]) > 0 for i in range(at.count)]  # type: ignore[misc]
        return self._masks

    @property
    def features(self) -> dict[str, np.ndarray]:
        """By layer: count x channels x height x width float32."""
        if self._features is None:
            at, found = self._open(), {}
            for i in range(at.layer_count):
                step = i * at.layers[0].struct_size
                layer = _abi.imiad_layer_features.from_address(ctypes.addressof(at.layers[0]) + step)
                shape = (at.count, layer.channels, layer.height, layer.width)
                floats = ctypes.cast(layer.values, ctypes.POINTER(ctypes.c_float))
                found[text(layer.layer)] = np.ctypeslib.as_array(floats, shape).copy()
            self._features = found
        return self._features


def _numbers(address: Optional[int], count: int, kind: Any) -> Optional[np.ndarray]:
    if not address:
        return None
    return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(kind)), (count,)).copy()


class Batches:
    """The training images of one fit: good ones, and what the detector takes. Every iteration is a pass
    over them, or the one that was drawn."""

    def __init__(self, pointer: int):
        self._pointer = pointer
        self._begun = False

    def __len__(self) -> int:
        """Images, not batches."""
        return lib.imiad_batches_count(self._pointer)

    def rewind(self, order: Optional[Sequence[int]] = None) -> None:
        """Begins another pass, in another order where one is given (a permutation)."""
        places = None if order is None else (ctypes.c_size_t * len(order))(*order)
        lib.imiad_batches_rewind(self._pointer, places)
        self._begun = False

    @property
    def tasks(self) -> int:
        """How many tasks were learned before this one."""
        return lib.imiad_batches_tasks(self._pointer)

    def image(self, index: int) -> TrainingImage:
        """What is known of one image, from 0."""
        label, role, category = ctypes.c_int32(), ctypes.c_int32(), ctypes.c_int32()
        lib.imiad_batches_image(ctypes.byref(label), ctypes.byref(role), ctypes.byref(category),
                                self._pointer, index)
        return TrainingImage(label.value, ROLES[role.value], category.value)

    def draw(self, order: Sequence[int], batch: int) -> "Batches":
        """Makes the next iteration one over these images, each as often as it is named."""
        places = (ctypes.c_size_t * len(order))(*order)
        lib.imiad_batches_draw(self._pointer, places, len(order), batch)
        self._begun = False
        return self

    def draw_balanced(self, steps: int, batch: int, seed: int = 0, epoch: int = 0) -> "Batches":
        """Makes the next iteration `steps` batches, half of each good, half defective images."""
        lib.imiad_batches_draw_balanced(self._pointer, steps, batch, seed, epoch)
        self._begun = False
        return self

    def __iter__(self) -> Iterator[TrainingBatch]:
        if self._begun:
            self.rewind()
        self._begun = True
        out = ctypes.POINTER(_abi.imiad_batch)()
        while True:
            lib.imiad_batches_next(out, self._pointer)
            if not out:
                return
            batch = TrainingBatch(out.contents)
            try:
                yield batch
            finally:
                batch._at = None

    def progress(self, stage: str, done: int, total: int) -> None:
        """Tells the caller of fit how far other work has come; an Error where it asks to stop."""
        lib.imiad_batches_progress(self._pointer, name_of(stage), done, total)


class Blocks:
    """What save left, by name."""

    def __init__(self, pointer: int):
        self._pointer = pointer

    def __getitem__(self, name: str) -> np.ndarray:
        out, size = ctypes.c_void_p(), ctypes.c_size_t()
        lib.imiad_blocks_get(out, ctypes.byref(size), self._pointer, name_of(name))
        return np.load(io.BytesIO(ctypes.string_at(out.value or 0, size.value)), allow_pickle=False)


class DetectorPlugin:
    """The base of detectors written in Python; imiad.register_detector(Class) makes the name known.

    One object is made for each detector. `options` are read in __init__ from what it is given: a
    dictionary of Python values, those of every detector included. `layers` names the backbone's layers
    that fit and score see; None: the detector needs no backbone and works on the images. `takes_anomalies`,
    `takes_masks` and `takes_sources` say what fit sees beside good images: defective ones where the
    setting has them, masks, good images of the dataset's other categories.
    """

    name: str = ""
    title: str = ""
    options: Sequence[Option] = ()
    layers: Optional[Sequence[str]] = None
    takes_anomalies: bool = False
    takes_masks: bool = False
    takes_sources: bool = False
    fit_more: Optional[Callable[[Batches], None]] = None  # learn another task on top; None: fit anew

    def __init__(self, options: Mapping[str, Any]):
        pass

    def fit(self, normals: Batches) -> None:
        """Learns anew."""
        raise NotImplementedError

    def score(self, batch: TrainingBatch) -> Any:
        """Maps, count x h x w of any grid; or (maps, scores); or one score for each image. Changes
        nothing: clones call it in several threads."""
        raise NotImplementedError

    def save(self) -> Mapping[str, np.ndarray]:
        """What fit learned, as arrays under names."""
        raise NotImplementedError

    def load(self, blocks: Blocks) -> None:
        """Takes back what save gave: blocks["mean"]. A file comes from outside: check shapes."""
        raise NotImplementedError


class _Detectors:
    """The C functions of one class, and its objects by the numbers that C knows them by."""

    def __init__(self, kind: type[DetectorPlugin]):
        self.kind = kind
        self.objects: dict[int, Any] = {}
        self.numbers = itertools.count(1)

    def create(self, user: Any, state: Any, detector: int) -> None:
        schema = read_schema(lib.imiad_detector_option_info, name_of(self.kind.name))
        values = {line.name: python_value(line.type, text(lib.imiad_detector_option(
            detector, name_of(line.name)))) for line in schema}
        made_object = self.kind(values)
        if made_object.layers is not None:
            made_object._imiad_layers = (ctypes.c_char_p * len(made_object.layers))(
                *map(name_of, made_object.layers))
        number = next(self.numbers)
        self.objects[number] = made_object
        state[0] = number

    def layers(self, state: int, count: Any) -> int:
        names = self.objects[state]._imiad_layers
        ctypes.c_size_t.from_address(count).value = len(names)
        return ctypes.addressof(names)

    def fit(self, state: int, batches: int) -> None:
        self.objects[state].fit(Batches(batches))

    def fit_more(self, state: int, batches: int) -> None:
        self.objects[state].fit_more(Batches(batches))

    def score(self, state: int, batch: Any, scores: int) -> None:
        seen = TrainingBatch(batch.contents)
        result = self.objects[state].score(seen)
        seen._at = None
        maps, images = result if isinstance(result, tuple) else (result, None)
        if images is None and np.ndim(maps) == 1:
            maps, images = None, maps
        if maps is not None:
            maps = np.ascontiguousarray(maps, np.float32)
            if maps.ndim != 3 or len(maps) != len(seen):
                raise ValueError(f"maps are {maps.shape}, not {len(seen)} x height x width")
            _fill(lib.imiad_batch_scores_maps(scores, *maps.shape[1:]), maps)
        if images is not None:
            images = np.ascontiguousarray(images, np.float32)
            if images.shape != (len(seen),):
                raise ValueError(f"scores are {images.shape}, not {(len(seen),)}")
            _fill(lib.imiad_batch_scores_images(scores), images)

    def save(self, state: int, blocks: int) -> None:
        for name, array in self.objects[state].save().items():
            file = io.BytesIO()
            np.save(file, np.asarray(array), allow_pickle=False)
            data = file.getvalue()
            lib.imiad_blocks_put(blocks, name_of(name), data, len(data))

    def load(self, state: int, blocks: int) -> None:
        self.objects[state].load(Blocks(blocks))

    def destroy(self, state: int) -> None:
        self.objects.pop(state, None)


def _fill(address: Optional[int], values: np.ndarray) -> None:
    if not address:
        raise MemoryError
    ctypes.memmove(address, values.ctypes.data, values.nbytes)


def _set(functions: Any, name: str, work: Callable[..., Any]) -> None:
    prototype = dict(type(functions)._fields_)[name]
    setattr(functions, name, prototype(work))


def register_detector(kind: type[DetectorPlugin]) -> type[DetectorPlugin]:
    """Makes a class's name one that Detector, Detector.load and imiad.detectors know; a decorator.

    It stays known for the life of the process. A file of such a detector is loaded where the same class
    was registered before.
    """
    table, functions = _Detectors(kind), made(_abi.imiad_detector_functions)
    functions.name, functions.title = name_of(kind.name), name_of(kind.title or kind.name)
    options, functions.option_count = packed_schema(kind.options)
    functions.options = options
    functions.takes = (kind.takes_anomalies * _abi.IMIAD_TAKES_ANOMALIES
                       + kind.takes_masks * _abi.IMIAD_TAKES_MASKS
                       + kind.takes_sources * _abi.IMIAD_TAKES_SOURCES)
    for name in ("create", "fit", "score", "save", "load"):
        _set(functions, name, failing(getattr(table, name)))
    _set(functions, "destroy", table.destroy)
    if kind.fit_more is not None:
        _set(functions, "fit_more", failing(table.fit_more))
    if kind.layers is not None:
        _set(functions, "layers", table.layers)
    lib.imiad_detector_register(functions)
    _kept.append((table, functions, options))
    return kind


# ---- datasets ----

class Listed(NamedTuple):
    """One image that a dataset plug-in lists."""

    path: str  # unique in the dataset; below the root where images are files
    category: str
    label: int = 0  # 1 defective
    subset: str = "train"  # or "validation", "test"
    kind: str = ""  # "": "good" or "defect"
    has_mask: bool = False  # read_mask gives this defective image's ground truth
    mask_path: str = ""  # of a defective image's mask file below the root
    key: int = 0  # handed back to read_image and read_mask


class DatasetPlugin:
    """The base of datasets written in Python: imiad.register_dataset(plugin) makes the name known,
    imiad.open_dataset(plugin) opens it without."""

    name: str = ""
    title: str = ""
    options: Sequence[Option] = ()
    needs_root: bool = False

    def list(self, root: str, options: Mapping[str, Any]) -> Iterable[Listed]:
        """Every image, in any order."""
        raise NotImplementedError

    def read_image(self, sample: Sample, key: int) -> Any:
        """The image of a sample, as an array; called by several threads. Leave it out where images are
        files below the root."""
        raise NotImplementedError

    def read_mask(self, sample: Sample, key: int) -> Any:
        """The ground truth of a sample with has_mask, as an array of its image's size."""
        raise NotImplementedError


class _Datasets:
    """The C functions of one plug-in."""

    def __init__(self, plugin: DatasetPlugin):
        self.plugin = plugin

    def list(self, user: Any, listing: int, dataset: int) -> None:
        values = {line.name: python_value(line.type, text(lib.imiad_dataset_option(
            dataset, name_of(line.name)))) for line in self.plugin.options}
        for one in self.plugin.list(text(lib.imiad_dataset_root(dataset)), values):
            out = made(_abi.imiad_listed_sample)
            out.subset, out.label = SUBSETS[one.subset], one.label
            out.category, out.path = name_of(one.category), name_of(one.path)
            out.kind = name_of(one.kind) if one.kind else None
            out.mask_path = name_of(one.mask_path) if one.mask_path else None
            out.has_mask, out.key = one.has_mask, one.key
            lib.imiad_listing_add(listing, out)

    def _read(self, read: Callable[[Sample, int], Any], convert: Callable[[Any], Any], out: Any,
              dataset: int, at: Any, key: int) -> None:
        info = at.contents
        known = sample(info, -1, text(lib.imiad_dataset_category(dataset, info.category)))
        pixels = convert(read(known, key))
        image = ctypes.POINTER(_abi.imiad_image)()
        lib.imiad_image_create(image, pixels.format, pixels.width, pixels.height)
        step = pixels.width * max(1, pixels.keep.shape[2] if pixels.keep.ndim == 3 else 1)
        for y in range(pixels.height):
            ctypes.memmove(image.contents.pixels + y * image.contents.stride,
                           pixels.pixels + y * pixels.stride, step)
        out[0] = image

    def read_image(self, user: Any, out: Any, dataset: int, at: Any, key: int) -> None:
        self._read(self.plugin.read_image, given, out, dataset, at, key)

    def read_mask(self, user: Any, out: Any, dataset: int, at: Any, key: int) -> None:
        self._read(self.plugin.read_mask, given_mask, out, dataset, at, key)


def _dataset_functions(plugin: DatasetPlugin) -> Any:
    table, functions = _Datasets(plugin), made(_abi.imiad_dataset_functions)
    functions.name, functions.title = name_of(plugin.name), name_of(plugin.title or plugin.name)
    options, functions.option_count = packed_schema(plugin.options)
    functions.options, functions.needs_root = options, plugin.needs_root
    _set(functions, "list", failing(table.list))
    for name in ("read_image", "read_mask"):
        if getattr(type(plugin), name) is not getattr(DatasetPlugin, name):
            _set(functions, name, failing(getattr(table, name)))
    functions.keep = (table, options)
    return functions


def register_dataset(plugin: DatasetPlugin) -> None:
    """Makes a plug-in's name one that Dataset and imiad.datasets know, for the life of the process."""
    functions = _dataset_functions(plugin)
    lib.imiad_dataset_register(functions)
    _kept.append(functions)


def open_dataset(plugin: DatasetPlugin, root: Path = "", /, **options: Any) -> Dataset:
    """Opens a plug-in's dataset without making its name known."""
    functions = _dataset_functions(plugin)
    out = ctypes.c_void_p()
    lib.imiad_dataset_open_functions(out, functions, name_of(root), *packed(options))
    _kept.append(functions)  # splits may outlive the dataset
    return Dataset._of(out)


def load_plugin(path: Path) -> None:
    """Loads a plug-in in a shared object, which runs its code in this process."""
    lib.imiad_plugin_load(name_of(path))


class MemorySample(NamedTuple):
    """One image in memory, with what is known of it."""

    image: Any  # an array, or a file's path
    label: int = 0  # 1 defective
    subset: str = "train"  # or "validation", "test"
    mask: Any = None  # of the image's size, non-zero is defective
    category: Optional[str] = None  # None: "default"
    kind: Optional[str] = None  # None: "good" or "defect"
    path: Optional[str] = None  # unique; None: made up


def dataset_from_images(name: str, samples: Iterable[Union[MemorySample, tuple[Any, ...]]],
                        **options: Any) -> Dataset:
    """A dataset of images in memory; pixels are copied."""
    rows = [MemorySample(*one) for one in samples]
    array = (_abi.imiad_memory_sample * max(1, len(rows)))()
    held = []
    for place, row in zip(array, rows):
        place.struct_size = ctypes.sizeof(_abi.imiad_memory_sample)
        place.subset, place.label = SUBSETS[row.subset], row.label
        pixels, mask = given(row.image, deep=True), None if row.mask is None else given_mask(row.mask)
        held += [pixels, mask]
        place.image = ctypes.pointer(pixels)
        if mask is not None:
            place.mask = ctypes.pointer(mask)
        for field in ("category", "kind", "path"):
            value = getattr(row, field)
            setattr(place, field, None if value is None else name_of(value))
    out = ctypes.c_void_p()
    lib.imiad_dataset_from_images(out, name_of(name), array, len(rows), *packed(options))
    return Dataset._of(out)
