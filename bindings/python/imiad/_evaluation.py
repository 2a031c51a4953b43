"""How a split is scored and measured."""
from __future__ import annotations

import contextlib
from typing import Any, Callable, Optional, Union

import numpy as np

from . import _abi
from ._data import Sample, Split, sample
from ._images import copied
from ._library import chosen, Guard, Progress, lib, made, text
from ._models import Detector, map_of
from .metrics import Metrics


class Scored:
    """One scored test image. Map, mask and image are copied when they are first asked for, which must
    be while the function that got this runs."""

    def __init__(self, at: Any, info: Sample):
        self._at: Optional[Any] = at
        self._parts: dict[str, Any] = {}
        self.sample = info
        self.score: float = at.score

    def _part(self, name: str, copy: Callable[[Any], Any]) -> Any:
        if name not in self._parts:
            if self._at is None:
                raise ValueError(f"the {name} is gone: ask for it while the image is shown")
            self._parts[name] = copy(self._at)
        return self._parts[name]

    @property
    def map(self) -> Optional[np.ndarray]:
        """height x width float32; None without maps."""
        return self._part("map", map_of)

    @property
    def mask(self) -> Optional[np.ndarray]:
        """The ground truth, 0 or 255, of the map's size; None where it is unknown."""
        return self._part("mask", lambda at: copied(at.mask))

    @property
    def image(self) -> np.ndarray:
        """RGB, of the map's size, before normalisation."""
        return self._part("image", lambda at: copied(at.image))


def evaluate(detector: Detector, split: Split, *, metrics: Optional[Metrics] = None,
             groups: Optional[Metrics] = None, size: Union[int, str] = "input",
             binarise_maps: bool = False, openiad_masks: bool = False,
             scored: Optional[Callable[[Scored], Any]] = None,
             progress: Optional[Progress] = None) -> Metrics:
    """Scores every test image of the split with a fitted detector and adds it to the metrics.

    metrics: to add to; None makes new ones
    groups: to add one score for each group of images to (`Dataset.group`), the highest of its images'
    size: where maps and masks meet: "input" (after resize and crop), "native", or a square's side
    binarise_maps, openiad_masks: what the IM-IAD code did, for comparison with its figures
    scored: called for every test image in the split's order; an exception stops the evaluation
    """
    sides = {"input": _abi.IMIAD_EVALUATE_INPUT, "native": _abi.IMIAD_EVALUATE_NATIVE}
    options = made(_abi.imiad_evaluation_options)
    options.size = chosen("size", size, sides) if isinstance(size, str) else size
    options.binarise_maps, options.openiad_masks = binarise_maps, openiad_masks
    metrics = Metrics() if metrics is None else metrics
    options.groups = None if groups is None else groups._as_parameter_
    dataset = lib.imiad_split_dataset(split)  # the split's own: the caller's may be closed

    def show(_: Any, at: Any) -> int:
        info = at.contents.info
        category = text(lib.imiad_dataset_category(dataset, info.category))
        one = Scored(at.contents, sample(info, at.contents.sample, category))
        try:
            scored(one)  # type: ignore[misc]
        finally:
            one._at = None
        return _abi.IMIAD_OK

    with contextlib.ExitStack() as held, Guard() as guard:
        shown = (guard.callback(_abi.imiad_scored_function, show, _abi.IMIAD_CANCELLED) if scored
                 else _abi.imiad_scored_function())
        if groups is not None and groups is not metrics:
            groups._use.enter(False, "Metrics")
            held.callback(groups._use.leave)
        lib.imiad_evaluate(metrics, detector, split, options, shown, None, guard.progress(progress),
                           None)
    return metrics

