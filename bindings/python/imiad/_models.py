"""Backbones and detectors."""
from __future__ import annotations

import ctypes
from typing import Any, Callable, Iterable, NamedTuple, Optional, Sequence, Union

import numpy as np

from . import _abi
from ._bank import Bank
from ._data import Path, Split
from ._images import ImageLike, given, given_mask, taken
from ._library import chosen, Guard, Handle, Progress, lib, made, name_of, record, text
from ._options import names, packed


def architectures() -> list[str]:
    """What Backbone takes as a name."""
    return names(lib.imiad_backbone_architecture_count, lib.imiad_backbone_architecture)


def device_memory(device: str = "cuda") -> tuple[int, int]:
    """Bytes of all tensors on a CUDA device, now and at their peak since the last call."""
    now, peak = ctypes.c_uint64(), ctypes.c_uint64()
    lib.imiad_device_memory(ctypes.byref(now), ctypes.byref(peak), name_of(device))
    return now.value, peak.value


class LabelledImage(NamedTuple):
    """An image to learn from, with what is known of it."""

    image: Any  # an array, or a file's path
    label: int = 0  # 1 defective
    mask: Any = None  # of the image's size, non-zero is defective; None: none
    category: int = 0  # 0: the one to be inspected; another number: a good image of another category


class Layer(NamedTuple):
    """A layer of a backbone that features can be asked of."""

    name: str
    channels: int
    stride: int  # pixels between neighbouring positions; 0: one position for the whole image
    loaded: bool  # whether the weights reach so far


class Backbone(Handle):
    """A frozen feature extractor on a device in a precision.

    architecture: one of imiad.architectures(), such as "wide_resnet50_2"
    weights: a .safetensors, .pth or .npz file; None: random weights drawn from the seed
    device: "cpu", "cuda", "cuda:1"
    precision: "float32" or "bfloat16"
    mean, deviation: how the weights want colours, (x / 255 - mean) / deviation, three numbers each;
        None: as these weights are usually used
    """

    _free = "imiad_backbone_free"

    def __init__(self, architecture: str, weights: Optional[Path] = None, *, seed: int = 0,
                 device: str = "cpu", precision: str = "float32",
                 mean: Optional[Sequence[float]] = None,
                 deviation: Optional[Sequence[float]] = None):
        options = made(_abi.imiad_backbone_options)
        options.weights = name_of(weights) if weights is not None else None
        options.seed, options.device = seed, name_of(device)
        options.precision = name_of(precision)
        if (mean is None) != (deviation is None):
            raise TypeError("mean and deviation belong together")
        if mean is not None and deviation is not None:
            options.mean[:], options.deviation[:] = list(mean), list(deviation)
        out = ctypes.c_void_p()
        lib.imiad_backbone_create(out, name_of(architecture), options)
        super().__init__(out)

    @classmethod
    def default(cls, *, device: str = "cpu", precision: str = "float32") -> "Backbone":
        """The default weights, with the architecture that they are for; see docs/backbones.md."""
        options = made(_abi.imiad_backbone_options)
        options.default_weights = 1
        options.device, options.precision = name_of(device), name_of(precision)
        out = ctypes.c_void_p()
        lib.imiad_backbone_create(out, None, options)
        backbone = cls.__new__(cls)
        Handle.__init__(backbone, out)
        return backbone

    @property
    def name(self) -> str:
        return text(lib.imiad_backbone_name(self))

    @property
    def provenance(self) -> str:
        """What the weights were trained on and their licence, where the library knows; else ""."""
        return text(lib.imiad_backbone_provenance(self))

    @property
    def weights(self) -> str:
        """What the weights are, in words."""
        return text(lib.imiad_backbone_weights(self))

    def _described(self) -> str:
        return f"{text(lib.imiad_backbone_name(self))} with {text(lib.imiad_backbone_weights(self))}"

    @property
    def digest(self) -> str:
        """SHA-256 of the weight file; "" for random weights."""
        return text(lib.imiad_backbone_digest(self))

    @property
    def device(self) -> str:
        return text(lib.imiad_backbone_device(self))

    @property
    def precision(self) -> str:
        return text(lib.imiad_backbone_precision(self))

    @property
    def dialect(self) -> str:
        """Whose names the weights have: "torchvision", "timm", ..."""
        return text(lib.imiad_backbone_dialect(self))

    @property
    def input(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(mean, deviation) of the colours that the weights want: (x / 255 - mean) / deviation."""
        mean, deviation = (ctypes.c_float * 3)(), (ctypes.c_float * 3)()
        lib.imiad_backbone_input(mean, deviation, self)
        return tuple(mean), tuple(deviation)

    @property
    def layers(self) -> list[Layer]:
        """The layers in the order in which they are computed."""
        found = []
        for i in range(lib.imiad_backbone_layer_count(self)):
            layer = made(_abi.imiad_backbone_layer)
            lib.imiad_backbone_layer_info(layer, self, i)
            found.append(Layer(layer.name.decode(), layer.channels, layer.stride,
                               bool(layer.loaded)))
        return found

    def shape(self, layer: str, height: int, width: int) -> tuple[int, int, int]:
        """(channels, height, width) of a layer's output for images of height x width."""
        out = (ctypes.c_int64 * 3)()
        lib.imiad_backbone_shape(out, self, name_of(layer), height, width)
        return out[0], out[1], out[2]

    def features(self, layer: str, images: Any) -> np.ndarray:
        """Features of normalised images, count x 3 x height x width: count x channels x h x w."""
        images = np.ascontiguousarray(images, np.float32)
        if images.ndim != 4 or images.shape[1] != 3:
            raise TypeError(f"images are count x 3 x height x width, not {images.shape}")
        count, _, height, width = images.shape
        out = np.empty((count, *self.shape(layer, height, width)), np.float32)
        lib.imiad_backbone_features(out.ctypes.data, out.size, self, name_of(layer),
                                    images.ctypes.data, count, height, width)
        return out


def _one_score(score: Any) -> float:
    if isinstance(score, Result):
        raise TypeError("a score is a number: pass result.score, not the result")
    return float(score)


class Result(NamedTuple):
    """What an image came to."""

    score: float  # larger is more anomalous; raw, in the detector's own unit
    map: Optional[np.ndarray]  # height x width float32 at the detector's input; None without maps


class Batch(NamedTuple):
    """What several images came to."""

    scores: np.ndarray  # float32, one for each image
    maps: list[np.ndarray]  # height x width float32; empty where none were asked for


class Timings(NamedTuple):
    """Seconds spent in a detector since it was made, by stage, and images scored."""

    fit_seconds: float
    decode_seconds: float
    resize_seconds: float
    backbone_seconds: float
    score_seconds: float
    map_seconds: float
    images: int


_RULES = {key[len("IMIAD_THRESHOLD_"):].lower(): value
          for key, value in _abi.ENUMS["imiad_threshold_rule"].items()}
_SENSITIVITIES = {key[len("IMIAD_SENSITIVITY_"):].lower(): value
                  for key, value in _abi.ENUMS["imiad_sensitivity"].items()}


class Calibration(NamedTuple):
    """An image is anomalous where its score is above the threshold, a pixel where its map's value is above
    map_threshold."""

    rule: str  # "quantile" or "f1_max"
    threshold: float  # at normal sensitivity
    low_threshold: float  # at low sensitivity: few false alarms
    high_threshold: float  # at high sensitivity: few missed defects
    map_threshold: float
    centre: float  # the median score of the normal images
    quantile: float
    normal_count: int
    defective_count: int
    source: str  # the images that it was chosen from, in words
    tile_side: int = 0  # of the tiles that were scored, in pixels; 0: whole images
    tile_overlap: float = 0.0


class Detector(Handle):
    """One algorithm with its options: fit, score, save, load.

        detector = imiad.Detector("patchcore", backbone, coreset_ratio=0.1)

    name: a registered detector, see imiad.detectors.names()
    backbone: shared and kept alive; None for a detector that uses none
    options: by keyword, see imiad.detectors.schema(name)
    """

    _free = "imiad_detector_free"

    def __init__(self, name: str, backbone: Optional[Backbone] = None, /, **options: Any):
        out = ctypes.c_void_p()
        lib.imiad_detector_create(out, name_of(name), backbone, *packed(options))
        super().__init__(out)

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> "Detector":
        """A detector from the one file that save wrote."""
        out = ctypes.c_void_p()
        lib.imiad_detector_load(out, name_of(path), name_of(device))
        detector = cls.__new__(cls)
        Handle.__init__(detector, out)
        return detector

    @property
    def name(self) -> str:
        return text(lib.imiad_detector_name(self))

    def _described(self) -> str:
        return self.name

    def option(self, name: str) -> Optional[str]:
        """The value of an option as text, given or default; None where there is no such option."""
        value = lib.imiad_detector_option(self, name_of(name))
        return None if value is None else text(value)

    def fit(self, normals: Union[Split, Sequence[ImageLike]],
            progress: Optional[Progress] = None) -> "Detector":
        """Learns from a split's training images, or from images in memory or files; begins anew."""
        with Guard() as guard:
            show = guard.progress(progress)
            if isinstance(normals, Split):
                lib.imiad_detector_fit(self, normals, show, None)
            else:
                images = [given(image, deep=True) for image in normals]
                lib.imiad_detector_fit_images(self, _pointers(images), len(images), show, None)
        return self

    def fit_labelled(self, images: Iterable[Union[LabelledImage, tuple[Any, ...]]],
                     progress: Optional[Progress] = None) -> "Detector":
        """Learns from images in memory or files with their labels and masks; begins anew. A detector sees
        what it takes: one that learns from good images alone never sees the others."""
        rows = [LabelledImage(*one) for one in images]
        array = (_abi.imiad_labelled_image * max(1, len(rows)))()
        held = []
        for place, row in zip(array, rows):
            place.struct_size = ctypes.sizeof(_abi.imiad_labelled_image)
            place.label, place.category = row.label, row.category
            pixels, mask = given(row.image, deep=True), None if row.mask is None else given_mask(row.mask)
            held += [pixels, mask]
            place.image = ctypes.pointer(pixels)
            if mask is not None:
                place.mask = ctypes.pointer(mask)
        with Guard() as guard:
            lib.imiad_detector_fit_labelled(self, array, len(rows), guard.progress(progress), None)
        return self

    def fit_more(self, split: Split, progress: Optional[Progress] = None) -> "Detector":
        """Learns another task without starting over, as the continual setting asks."""
        with Guard() as guard:
            lib.imiad_detector_fit_more(self, split, guard.progress(progress), None)
        return self

    def fit_calibrated(self, split: Split, progress: Optional[Progress] = None,
                       **options: Any) -> "Detector":
        """Fits on a split and chooses thresholds from images that were not fitted; never from test images.

        rule: "quantile" (0.99 of the normal scores) or "f1_max" (needs defective images)
        quantile, low_quantile, high_quantile: of the three sensitivities
        share, seed: of the normal training images to hold out where there are no validation images
        """
        with Guard() as guard:
            lib.imiad_detector_fit_calibrated(self, split, _calibration_options(**options),
                                              guard.progress(progress), None)
        return self

    def calibrate(self, scores: Any, labels: Any = None, *, map_maxima: Any = None, source: str = "",
                  **options: Any) -> None:
        """Chooses thresholds from scores of images that were not fitted; options as in fit_calibrated.

        labels: 0 normal, 1 defective; None: all normal
        map_maxima: the largest value of each image's map
        """
        scores = np.ascontiguousarray(scores, np.float32)
        others = [None if one is None else np.ascontiguousarray(one, kind)
                  for one, kind in ((labels, np.int32), (map_maxima, np.float32))]
        if any(one is not None and one.size != scores.size for one in others):
            raise TypeError("labels and map_maxima need a value for each score")
        truth, maxima = (None if one is None else one.ctypes.data for one in others)
        lib.imiad_detector_calibrate(self, scores.ctypes.data, truth, maxima, scores.size,
                                     name_of(source), _calibration_options(**options))

    @property
    def calibration(self) -> Calibration:
        """The thresholds; Error WRONG_STATE where there are none. Setting brings those found elsewhere."""
        out = made(_abi.imiad_calibration)
        lib.imiad_detector_calibration(out, self)
        rule = next(name for name, number in _RULES.items() if number == out.rule)
        return record(Calibration, out, rule=rule)

    @calibration.setter
    def calibration(self, given_one: Calibration) -> None:
        out = made(_abi.imiad_calibration)
        for name, value in given_one._asdict().items():
            setattr(out, name, _RULES[value] if name == "rule" else
                    name_of(value) if name == "source" else value)
        lib.imiad_detector_set_calibration(self, out)

    def verdict(self, score: float, sensitivity: str = "normal") -> bool:
        """Whether a score is above the threshold; sensitivity: "low", "normal" or "high"."""
        out = ctypes.c_int32()
        number = chosen("sensitivity", sensitivity, _SENSITIVITIES)
        lib.imiad_detector_verdict(ctypes.byref(out), self, _one_score(score), number)
        return bool(out.value)

    def calibrated_score(self, score: float) -> float:
        """Between 0 and 1, the same scale for every detector: 0.5 at the threshold."""
        out = ctypes.c_double()
        lib.imiad_detector_calibrated_score(ctypes.byref(out), self, _one_score(score))
        return out.value

    def score(self, image: ImageLike, *, bgr: bool = False) -> Result:
        """Scores one image of any size; bgr: an array's channels are in OpenCV's order."""
        out = made(_abi.imiad_result)
        lib.imiad_detector_score(out, self, given(image, bgr, deep=True))
        return Result(out.score, map_of(out))

    def score_batch(self, images: Sequence[ImageLike], *, maps: bool = True, map_frame: str = "input",
                    bgr: bool = False, regions: Optional[Sequence[Any]] = None, tiles: bool = False, tile_side: int = 0,
                    tile_overlap: float = 0.25) -> "Batch":
        """Scores images of any sizes, as many through the network at once as the option batch says.

        maps: False saves their time and memory
        map_frame: "input", after resize and crop, or "image", over the whole image at its own size
        bgr: arrays' channels are in OpenCV's order
        regions: for each image a mask of its size, or None: where to look
        tiles: score squares of tile_side pixels (0: the side of the detector's input) that overlap by
            tile_overlap of it, for images much larger than the input
        """
        if isinstance(images, (str, bytes, np.ndarray)) and np.ndim(images) < 3:
            raise TypeError("score_batch takes a list of images; score takes one")
        if not isinstance(tiles, (bool, np.bool_)):
            raise TypeError(f"tiles is True or False, not {tiles!r}; tile_side is their side in pixels")
        held = [given(image, bgr, deep=True) for image in images]
        array = _pointers(held)
        options = made(_abi.imiad_score_options)
        options.map_frame = chosen("map_frame", map_frame, {"input": _abi.IMIAD_MAP_INPUT,
                                                            "image": _abi.IMIAD_MAP_IMAGE})
        options.tiles, options.tile_side, options.tile_overlap = tiles, tile_side, tile_overlap
        if regions is not None:
            if len(regions) != len(held):
                raise TypeError(f"{len(regions)} regions for {len(held)} images")
            masks = [None if region is None else given_mask(region) for region in regions]
            looked = _pointers(masks)
            options.regions = ctypes.cast(looked, type(options.regions))
        shapes = [self._map_shape(image, options) for image in held] if maps else []
        floats = np.empty(sum(height * width for height, width in shapes), np.float32)
        scores = np.empty(len(held), np.float32)
        lib.imiad_detector_score_batch(scores.ctypes.data, floats.ctypes.data if maps else None,
                                       floats.size, self, array, len(held), options)
        ends = np.cumsum([height * width for height, width in shapes])[:-1]
        return Batch(scores, [part.reshape(shape)
                              for part, shape in zip(np.split(floats, ends), shapes)])

    def _map_shape(self, image: Any, options: Any) -> tuple[int, int]:
        width, height = ctypes.c_int32(), ctypes.c_int32()
        lib.imiad_detector_map_size(ctypes.byref(width), ctypes.byref(height), self, image.width,
                                    image.height, options)
        return height.value, width.value

    def clone(self) -> "Detector":
        """Another handle of a fitted detector, for another thread; it shares what was learned."""
        out = ctypes.c_void_p()
        lib.imiad_detector_clone(out, self)
        detector = type(self).__new__(type(self))
        Handle.__init__(detector, out)
        return detector

    def preprocess(self, image: ImageLike, *, bgr: bool = False) -> np.ndarray:
        """The image as the detector sees it: resized and cropped, RGB, before normalisation."""
        out = ctypes.POINTER(_abi.imiad_image)()
        lib.imiad_detector_preprocess(out, self, given(image, bgr, deep=True))
        return taken(out)

    @property
    def timings(self) -> Timings:
        out = made(_abi.imiad_timings)
        lib.imiad_detector_timings(out, self)
        return record(Timings, out)

    def forget(self, image: int) -> int:
        """Takes out of a memory bank what one training image left there; how many rows went.

        image: counted from 0 in the order of the training images, and on through fit_more
        """
        removed = ctypes.c_int64()
        lib.imiad_detector_forget(self, image, ctypes.addressof(removed))
        return removed.value

    def _of_bank(self, what: Callable[[Bank], Any]) -> Any:
        borrowed = Bank.__new__(Bank)
        borrowed._pointer, borrowed._use = None, self._use
        self._use.enter(True, "Detector")  # no thread fits it or closes it while its bank is read
        try:
            out = ctypes.c_void_p()
            lib.imiad_detector_bank(out, self)
            borrowed._pointer = out.value
            return what(borrowed)
        finally:
            borrowed._pointer = None  # the detector's own
            self._use.leave()

    @property
    def bank(self) -> np.ndarray:
        """A copy of the rows of the memory bank of a fitted detector that has one."""
        return self._of_bank(lambda bank: bank.rows)

    @property
    def bank_sources(self) -> Optional[np.ndarray]:
        """For each row of `bank`, the training image that it came from, int64, counted as forget counts
        them; a copy. None where no row has a source."""
        return self._of_bank(lambda bank: bank.sources)

    def save(self, path: Path) -> None:
        """Writes one file with all that scoring needs: preprocessing, options, weights, bank."""
        lib.imiad_detector_save(self, name_of(path))

    def save_learning(self, path: Path) -> None:
        """The same, and what another task goes on from: loaded, fit_more learns as it would have here."""
        lib.imiad_detector_save_learning(self, name_of(path))

    @property
    def kept_bytes(self) -> int:
        """Of all that save writes: what was learned so far, and the backbone's weights."""
        out = ctypes.c_uint64()
        lib.imiad_detector_bytes(ctypes.byref(out), self)
        return out.value


def _calibration_options(*, rule: str = "quantile", quantile: float = 0.99, low_quantile: float = 1.0,
                         high_quantile: float = 0.95, share: float = 0.2, seed: int = 0) -> Any:
    options = made(_abi.imiad_calibration_options)
    options.rule, options.quantile = chosen("rule", rule, _RULES), quantile
    options.low_quantile, options.high_quantile = low_quantile, high_quantile
    options.share, options.seed = share, seed
    return options


def _pointers(images: Sequence[Any]) -> Any:
    """The array of pointers to images that they must outlive; None becomes NULL."""
    kind = ctypes.POINTER(_abi.imiad_image)
    return (kind * max(1, len(images)))(*(kind() if one is None else ctypes.pointer(one) for one in images))


def map_of(out: Any) -> Optional[np.ndarray]:
    """A copy of the map of a structure that borrows one: the library will write over it."""
    if not out.map:
        return None
    floats = ctypes.cast(out.map, ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(floats, (out.height, out.width)).copy()
