"""Exact metrics of scores, maps and masks; worth importing on their own.

    from imiad import metrics
    metrics.auroc(labels, scores)          # image or pixel: arrays of the same shape, any shape
    metrics.aupro(masks, maps)             # count x height x width, or lists of height x width

All are exact over groups of equal scores: no threshold sampling, no histogram. Truth is boolean or 0/1,
or a mask in which non-zero is defective. Scores may be of any real type: whatever does not fit float32
is ranked first, which changes none of these numbers because they depend on order alone. Tensors of
PyTorch on the CPU are taken as they are. What does not exist for the input (one class only) is an Error
with status UNDEFINED; NaN is NOT_FINITE. Definitions: docs/metrics.md.
"""
from __future__ import annotations

import ctypes
from typing import Any, Iterable, NamedTuple, Optional, Sequence, Union

import numpy as np

from . import _abi
from ._images import array_of, given_map, given_mask
from ._library import Error, Handle, Status, lib, made, record
from ._options import Option, packed, read_schema

Arrays = Union[np.ndarray, Sequence[Any], Any]
_LONGEST = 1 << 24  # pixels of one call for arrays that are no pictures


class Counts(NamedTuple):
    """What was added so far: report it beside every result."""

    images: int
    defective_images: int
    maps: int
    defective_maps: int
    empty_masks: int
    normal_pixels: int
    defective_pixels: int
    regions: int


class F1Max(NamedTuple):
    """The largest F1, and the lowest threshold that attains it (prediction: score >= threshold)."""

    f1: float
    threshold: float


def _number(function: Any, *arguments: Any) -> float:
    out = ctypes.c_double()
    function(ctypes.byref(out), *arguments)
    return out.value


def _f1max(function: Any, handle: Any) -> F1Max:
    out, threshold = ctypes.c_double(), ctypes.c_double()
    function(ctypes.byref(out), ctypes.byref(threshold), handle)
    return F1Max(out.value, threshold.value)


class Metrics(Handle):
    """Adds up images and maps one at a time and never keeps the maps.

    connectivity: 8 or 4, of the regions that AUPRO counts
    infinities: "reject" or "allow"
    sizes: where a mask and its map differ in size: "equal" (an error), "mask" (the map is resized to
        the mask's size, bilinearly) or "map" (the mask to the map's, by nearest neighbour)
    """

    _free = "imiad_metrics_free"

    def __init__(self, **options: Any):
        out = ctypes.c_void_p()
        lib.imiad_metrics_create(out, *packed(options))
        super().__init__(out)

    def add_image(self, label: int, score: float) -> None:
        """Adds one image: 0 good, 1 defective; larger scores are more anomalous."""
        if label != label or int(label) != label:  # NaN is not itself
            raise TypeError(f"a label is 0 (good) or 1 (defective), not {label!r}")
        lib.imiad_metrics_add_image(self, int(label), float(score))

    def add_map(self, map: Any, mask: Any = None) -> None:
        """Adds one map, height x width, with its ground truth; None: all good."""
        values = given_map(map)
        truth = given_mask(mask) if mask is not None else None
        lib.imiad_metrics_add_map(self, values.ctypes.data, values.shape[1], values.shape[0], truth)

    @property
    def counts(self) -> Counts:
        out = made(_abi.imiad_metrics_counts)
        lib.imiad_metrics_count(out, self)
        return record(Counts, out)

    def image_auroc(self) -> float:
        return _number(lib.imiad_metrics_image_auroc, self)

    def image_ap(self) -> float:
        return _number(lib.imiad_metrics_image_ap, self)

    def image_f1max(self) -> F1Max:
        return _f1max(lib.imiad_metrics_image_f1max, self)

    def pixel_auroc(self) -> float:
        return _number(lib.imiad_metrics_pixel_auroc, self)

    def pixel_ap(self) -> float:
        return _number(lib.imiad_metrics_pixel_ap, self)

    def pixel_f1max(self) -> F1Max:
        return _f1max(lib.imiad_metrics_pixel_f1max, self)

    def aupro(self, limit: float = 0.3) -> float:
        """Area under the per-region-overlap curve up to a false positive rate, over that rate."""
        return _number(lib.imiad_metrics_aupro, self, limit)

    def aupro_sampled(self, limit: float = 0.3, steps: int = 100) -> float:
        """The approximation of MVTec 3D's evaluation code, for numbers published that way."""
        return _number(lib.imiad_metrics_aupro_sampled, self, limit, steps)

    def summary(self, limit: float = 0.3) -> dict[str, Optional[float]]:
        """The usual numbers by the names that the programs use; None for what does not exist."""
        found: dict[str, Optional[float]] = {}
        for name, ask in [("image_auroc", self.image_auroc), ("image_ap", self.image_ap),
                          ("image_f1max", lambda: self.image_f1max().f1),
                          ("pixel_auroc", self.pixel_auroc), ("pixel_ap", self.pixel_ap),
                          ("pixel_f1max", lambda: self.pixel_f1max().f1),
                          ("aupro", lambda: self.aupro(limit))]:
            try:
                found[name] = ask()
            except Error as error:
                if error.status != Status.UNDEFINED:
                    raise
                found[name] = None
        return found


class SproCounts(NamedTuple):
    """What was added so far, by kind: good, structural, logical."""

    images: tuple[int, int, int]
    maps: tuple[int, int, int]
    normal_pixels: tuple[int, int, int]
    channels: tuple[int, int, int]
    empty_channels: tuple[int, int, int]
    raised_saturations: tuple[int, int, int]


class Channel(NamedTuple):
    """A channel of the ground truth and from which area on it counts as found."""

    mask: Any  # height x width, non-zero is inside
    saturation: float  # pixels; or, where relative, a share of the channel's area
    relative: bool = False


class Spro(Handle):
    """MVTec LOCO's metrics. Kinds are "good", "structural", "logical", and "mean" for results."""

    _free = "imiad_spro_free"

    def __init__(self, **options: Any):
        out = ctypes.c_void_p()
        lib.imiad_spro_create(out, *packed(options))
        super().__init__(out)

    @staticmethod
    def _kind(kind: str) -> int:
        kinds = _abi.ENUMS["imiad_spro_kind"]
        name = "IMIAD_SPRO_" + kind.upper()
        if name not in kinds:
            raise ValueError(f"{kind!r} is none of good, structural, logical, mean")
        return kinds[name]

    def add_image(self, kind: str, score: float) -> None:
        lib.imiad_spro_add_image(self, self._kind(kind), float(score))

    def add_map(self, map: Any, kind: str = "good", channels: Iterable[Channel] = ()) -> None:
        """Adds one map, height x width; a defective image has one channel or more."""
        values, masks = given_map(map), []
        channels = [Channel(*channel) for channel in channels]
        array = (_abi.imiad_spro_channel * max(1, len(channels)))()
        for place, channel in zip(array, channels):
            masks.append(given_mask(channel.mask))
            place.mask, place.saturation = ctypes.pointer(masks[-1]), channel.saturation
            place.relative = channel.relative
        lib.imiad_spro_add_map(self, values.ctypes.data, values.shape[1], values.shape[0],
                               self._kind(kind), array, len(channels))

    @property
    def counts(self) -> SproCounts:
        out = made(_abi.imiad_spro_counts)
        lib.imiad_spro_count(out, self)
        return SproCounts(*(tuple(getattr(out, field)) for field in SproCounts._fields))

    def area(self, kind: str = "mean", limit: float = 0.05) -> float:
        """Area under the saturated per-region-overlap curve."""
        return _number(lib.imiad_spro_area, self, self._kind(kind), limit)

    def image_auroc(self, kind: str = "mean") -> float:
        return _number(lib.imiad_spro_image_auroc, self, self._kind(kind))

    def image_auroc_loco_order(self, kind: str = "mean") -> float:
        """As open-iad computes it: wrong wherever scores tie."""
        return _number(lib.imiad_spro_image_auroc_loco_order, self, self._kind(kind))


# ---- arrays in, number out ----

def _list(values: Arrays) -> list[np.ndarray]:
    """The pictures of count x height x width or of a list; any other array as one long row."""
    if isinstance(values, (list, tuple)) and values and np.ndim(values[0]) > 0:
        return [part for one in values for part in _list(array_of(one))]
    array = array_of(values)
    if array.ndim == 2:
        return [array]
    if array.ndim == 3:
        return list(array)
    if array.ndim == 4 and array.shape[1] == 1:
        return list(array[:, 0])
    row = array.reshape(1, -1)
    return [row[:, i:i + _LONGEST] for i in range(0, row.shape[1], _LONGEST)]


def _ranked(maps: list[np.ndarray], infinities: str) -> tuple[list[np.ndarray], Any]:
    """Scores as float32 in the same order, and the values of the ranks where they are ranks."""
    if all(np.can_cast(map.dtype, np.float32) for map in maps):
        return maps, None
    values = np.concatenate([map.ravel() for map in maps])
    if np.isnan(values).any() or (infinities == "reject" and np.isinf(values).any()):
        raise Error(Status.NOT_FINITE, "a score is NaN or infinite")
    levels, ranks = np.unique(values, return_inverse=True)
    # floats from 1 on are ordered as their bits are
    stand = (ranks + np.float32(1).view(np.int32)).astype(np.int32).view(np.float32)
    ends = np.cumsum([map.size for map in maps])[:-1]
    return [part.reshape(map.shape) for part, map in zip(np.split(stand, ends), maps)], levels


def _measured(truth: Arrays, scores: Arrays, **options: Any) -> tuple[Metrics, Any]:
    masks, maps = _list(truth), _list(scores)
    sizes = str(options.get("sizes", "equal"))
    same = [mask.shape for mask in masks] == [map.shape for map in maps]
    if len(masks) != len(maps) or (sizes == "equal" and not same):
        raise Error(Status.MISMATCH, f"truth is {np.shape(truth)}, scores are {np.shape(scores)}: "
                                     f"their shapes must be the same")
    if same or sizes != "mask":
        maps, levels = _ranked(maps, str(options.get("infinities", "reject")))
    else:  # ranks cannot be interpolated
        levels = None
    metrics = Metrics(**options)
    for mask, map in zip(masks, maps):
        metrics.add_map(map, mask)
    return metrics, levels


def auroc(truth: Arrays, scores: Arrays, **options: Any) -> float:
    """Area under the ROC curve."""
    with _measured(truth, scores, **options)[0] as metrics:
        return metrics.pixel_auroc()


def average_precision(truth: Arrays, scores: Arrays, **options: Any) -> float:
    """Average precision: stepwise, no interpolation."""
    with _measured(truth, scores, **options)[0] as metrics:
        return metrics.pixel_ap()


def f1_max(truth: Arrays, scores: Arrays, **options: Any) -> F1Max:
    """The largest F1 over all thresholds, with the lowest threshold that attains it."""
    metrics, levels = _measured(truth, scores, **options)
    with metrics:
        best = metrics.pixel_f1max()
    if levels is None:
        return best
    rank = int(np.float32(best.threshold).view(np.int32) - np.float32(1).view(np.int32))
    return F1Max(best.f1, float(levels[rank]))


def _check_pictures(values: Arrays) -> None:
    """Regions need pictures: height x width, a list or an array of them, or with one channel before."""
    if isinstance(values, (list, tuple)) and len(values) > 0 and np.ndim(values[0]) > 0:
        for one in values:
            _check_pictures(one)
        return
    shape = np.shape(values)
    flat = len(shape) not in (2, 3, 4) or (len(shape) == 4 and shape[1] != 1)
    if flat or (len(shape) > 2 and shape[-1] == 1):
        raise TypeError(f"an anomaly map is height x width, and several are count x height x width; not "
                        f"{shape}")


def aupro(masks: Arrays, maps: Arrays, limit: float = 0.3, **options: Any) -> float:
    """Area under the per-region-overlap curve for false positive rates up to `limit`, over it.

    connectivity=4 counts diagonal neighbours as two regions.
    """
    _check_pictures(masks)
    _check_pictures(maps)
    with _measured(masks, maps, **options)[0] as metrics:
        return metrics.aupro(limit)


def aupro_sampled(masks: Arrays, maps: Arrays, limit: float = 0.3, steps: int = 100,
                  **options: Any) -> float:
    """The approximation of MVTec 3D's evaluation code, for numbers published that way."""
    _check_pictures(masks)
    _check_pictures(maps)
    with _measured(masks, maps, **options)[0] as metrics:
        return metrics.aupro_sampled(limit, steps)


def schema() -> list[Option]:
    """The options of Metrics and of the functions here."""
    return read_schema(lib.imiad_metrics_option_info)


__all__ = ["Channel", "Counts", "F1Max", "Metrics", "Spro", "SproCounts", "aupro", "aupro_sampled",
           "auroc", "average_precision", "f1_max", "schema"]
