"""Industrial image anomaly detection: libimiad from Python.

    import imiad

    dataset = imiad.Dataset("mvtec_ad", "/data/mvtec_ad")
    split = dataset.split("bottle")
    backbone = imiad.Backbone("wide_resnet50_2", "wide_resnet50_2-95faca4d.pth")
    detector = imiad.Detector("patchcore", backbone, coreset_ratio=0.1).fit(split)
    print(imiad.evaluate(detector, split).summary())
    result = detector.score("image.png")  # result.score, result.map

Handles are context managers and are freed with their last reference. A handle belongs to one thread at a
time, except datasets and splits, which any number of threads may read; calls let other threads of Python
run. Failures raise imiad.Error with a status and a message. Guide: docs/python.md.
"""
from typing import Any, Callable, Optional

from . import _abi
from ._library import Error, Progress, Status, lib as _lib, text as _text
from ._bank import Bank, BankNeeds, BankStream
from ._data import CategoryInfo, Dataset, Defect, OfficialCounts, Sample, Split
from ._evaluation import Scored, evaluate
from ._images import decode_image, draw_heatmap, from_floats, read_image, resize, stretch, tiles, write_png
from ._models import (Backbone, Batch, Calibration, Detector, LabelledImage, Layer, Result, Timings,
                      architectures, device_memory)
from ._options import Option
from ._plugins import (Batches, Blocks, DatasetPlugin, DetectorPlugin, Listed, MemorySample, TrainingBatch,
                       TrainingImage, dataset_from_images, load_plugin, open_dataset, register_dataset,
                       register_detector)
from ._regions import Region, find_regions
from ._results import Cell, Failure, Published, Results, Summary, find_published, published, report
from .metrics import Metrics, Spro
from . import continual, datasets, detectors, metrics, settings

__version__ = _text(_lib.imiad_version())
torch_version: str = _text(_lib.imiad_torch_version())
"""The version of libtorch that the library computes with."""


def set_threads(count: int = 0) -> None:
    """Threads that the library and libtorch compute with; 0: one per core. Call it first of all."""
    _lib.imiad_set_threads(count)


def threads() -> int:
    """Threads that the library and libtorch compute with."""
    return _lib.imiad_threads()


_log_function: Any = None


def set_log(function: Optional[Callable[[int, str], Any]]) -> None:
    """Sends the library's messages to function(level, message), from any thread; None drops them.

    Levels are those of Python's logging: imiad.set_log(logging.getLogger("imiad").log)
    """
    global _log_function
    if function is None:
        kept = _abi.imiad_log_function()
    else:
        def show(_: Any, level: int, message: bytes) -> None:
            function(level, _text(message))
        kept = _abi.imiad_log_function(show)
    _lib.imiad_set_log(kept, None)
    _log_function = kept


__all__ = ["Backbone", "Bank", "BankNeeds", "BankStream", "Batch", "Batches", "Blocks", "Calibration", "CategoryInfo",
           "Cell", "Dataset", "DatasetPlugin", "Defect", "Detector", "DetectorPlugin", "Error",
           "Failure",
           "LabelledImage", "Layer", "Listed",
           "MemorySample", "Metrics", "OfficialCounts", "Option", "Progress", "Published", "Region",
           "Result", "Results", "Sample", "Scored", "Split", "Spro", "Status", "Summary", "Timings",
           "TrainingBatch", "TrainingImage", "architectures", "continual", "dataset_from_images", "datasets",
           "decode_image", "detectors",
           "device_memory", "draw_heatmap", "evaluate", "find_published", "find_regions", "from_floats",
           "load_plugin", "metrics", "open_dataset", "published", "read_image", "register_dataset",
           "register_detector", "resize", "set_log", "set_threads", "settings", "stretch", "threads", "tiles",
           "torch_version", "write_png"]
