"""Anomalous regions: the connected pixels of a map above a threshold."""
from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np

from . import _abi
from ._images import given_map
from ._library import lib, made, record


class Region(NamedTuple):
    """Connected pixels of a map above a threshold."""

    left: int
    top: int
    width: int
    height: int
    area: int  # pixels
    peak: float  # the largest value, and the first pixel that has it
    peak_x: int
    peak_y: int
    mean: float
    centre_x: float
    centre_y: float
    contour: np.ndarray  # points x 2: the outer boundary along the edges of pixels, as x, y


def find_regions(map: Any, threshold: float, *, connectivity: int = 8, min_area: int = 1) -> list[Region]:
    """The regions of a map, height x width, where its value is above the threshold, by falling peak."""
    values = given_map(map)
    options = made(_abi.imiad_regions_options)
    options.connectivity, options.min_area = connectivity, min_area
    regions, found = ctypes.c_void_p(), []
    lib.imiad_regions_find(regions, values.ctypes.data, values.shape[1], values.shape[0], threshold,
                           options)
    try:
        for i in range(lib.imiad_regions_count(regions)):
            out = made(_abi.imiad_region)
            lib.imiad_regions_get(out, regions, i)
            points = ctypes.cast(out.contour, ctypes.POINTER(ctypes.c_int32))
            contour = np.ctypeslib.as_array(points, (out.contour_points, 2)).copy()
            found.append(record(Region, out, contour=contour))
    finally:
        lib.imiad_regions_free(regions)
    return found
