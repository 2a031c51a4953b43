"""Images: NumPy arrays on one side, pixel rectangles of the library on the other."""
from __future__ import annotations

import ctypes
import os
import warnings
from typing import Any, Optional, Union

import numpy as np

from . import _abi
from ._library import Error, Status, lib, made, name_of

ImageLike = Union[np.ndarray, str, "os.PathLike[str]", Any]
"""height x width (grey), x 3 (RGB) or x 4 (RGBA) bytes, or anything that NumPy makes such an array of;
height x width of uint16, where 0 is black and 65535 white (`stretch` makes it of 0..4095); a Pillow image,
which is converted to grey or RGB; or the path of an image file."""

_FORMATS = {0: _abi.IMIAD_PIXEL_GRAY8, 3: _abi.IMIAD_PIXEL_RGB8, 4: _abi.IMIAD_PIXEL_RGBA8}
_CHANNELS = {_abi.IMIAD_PIXEL_GRAY8: 1, _abi.IMIAD_PIXEL_RGB8: 3, _abi.IMIAD_PIXEL_BGR8: 3,
             _abi.IMIAD_PIXEL_RGBA8: 4, _abi.IMIAD_PIXEL_BGRA8: 4, _abi.IMIAD_PIXEL_GRAY16: 1}
_BGR = {3: _abi.IMIAD_PIXEL_BGR8, 4: _abi.IMIAD_PIXEL_BGRA8}


def array_of(values: Any) -> np.ndarray:
    """NumPy's view of what is an array: of an array that speaks DLPack alone, the same memory as well."""
    if isinstance(values, np.ndarray) or hasattr(values, "__array__") or not hasattr(values, "__dlpack__"):
        return np.asarray(values)
    return np.from_dlpack(values)


class _Pixels:
    """Owns an image of the library for the array that shows it."""

    def __init__(self, pointer: Any):
        self._pointer = pointer
        self.__array_interface__ = _interface(pointer.contents)

    def __del__(self) -> None:
        lib.imiad_image_free(self._pointer)


def _interface(image: Any) -> dict[str, Any]:
    channels, deep = _CHANNELS[image.format], image.format == _abi.IMIAD_PIXEL_GRAY16
    shape, strides = (image.height, image.width), (image.stride, 2 if deep else channels)
    if channels > 1:
        shape, strides = shape + (channels,), strides + (1,)
    return {"version": 3, "typestr": np.dtype(np.uint16 if deep else np.uint8).str, "shape": shape, "strides": strides,
            "data": (image.pixels, False)}


def taken(pointer: Any) -> np.ndarray:
    """The array of an image that the library gave; no copy: it is freed with the array."""
    return np.asarray(_Pixels(pointer))


def copied(pointer: Any) -> Optional[np.ndarray]:
    """A copy of a borrowed image; None for NULL."""
    if not pointer:
        return None

    class Borrowed:
        __array_interface__ = _interface(pointer.contents)
    return np.array(Borrowed())


_CONVERTED = {"1": "L", "LA": "L", "La": "L", "P": "RGB", "PA": "RGB", "RGBX": "RGB", "CMYK": "RGB",
              "YCbCr": "RGB", "HSV": "RGB"}  # what Pillow converts each mode to


def _plain(image: Any) -> Any:
    """A Pillow image in a mode whose bytes are grey, RGB or RGBA. Its other modes hold something else:
    palette indices, inks, or values without a range."""
    if image.mode in ("L", "RGB", "RGBA"):
        return image
    if image.mode not in _CONVERTED:
        raise TypeError(f"a Pillow image of mode {image.mode} has no bytes of grey or RGB: convert it "
                        f"yourself, or say the range of its values with from_floats(image, low, high)")
    return image.convert(_CONVERTED[image.mode])


def _warn_of_dark(pixels: np.ndarray) -> None:
    highest = int(pixels.max()) if pixels.size else 0
    if 0 < highest < 4096:
        warnings.warn(f"an image of uint16 without any value above {highest} is nearly black: "
                      f"imiad.stretch(image, 0, 4095) states its range", stacklevel=4)


def given(image: ImageLike, bgr: bool = False, deep: bool = False) -> Any:
    """An imiad_image of an array's own memory, which it keeps alive; a path is read first, with `deep` at
    full depth."""
    if isinstance(image, (str, bytes, os.PathLike)):
        image, bgr = read_image(image, deep=deep), False
    if isinstance(getattr(image, "mode", None), str) and callable(getattr(image, "convert", None)):
        if bgr:
            raise TypeError("a Pillow image is in the order RGB: bgr is for arrays")
        image = _plain(image)
    pixels = array_of(image)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    channels = pixels.shape[2] if pixels.ndim == 3 else 0
    wide = pixels.dtype.kind == "u" and pixels.dtype.itemsize == 2 and pixels.ndim == 2
    if wide:
        pixels = pixels.astype(np.uint16, copy=False)  # of this machine's byte order
        _warn_of_dark(pixels)
        return _rectangle(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or channels not in _FORMATS:
        other = pixels.dtype.kind in "uif" and pixels.dtype != np.uint8
        raise TypeError(f"an image is height x width (x 3 or 4) of uint8, or height x width of uint16, not "
                        f"{pixels.shape} of {pixels.dtype}"
                        + (": from_floats(image, low, high) makes one of a stated range" if other else ""))
    return _rectangle(pixels, bgr)


def _rectangle(pixels: np.ndarray, bgr: bool = False) -> Any:
    channels, size = pixels.shape[2] if pixels.ndim == 3 else 0, pixels.itemsize
    across = (channels, 1) if channels else (size,)
    if pixels.strides[1:] != across or pixels.strides[0] < pixels.shape[1] * max(size, channels):
        pixels = np.ascontiguousarray(pixels)
    out = made(_abi.imiad_image)
    out.format = _BGR[channels] if bgr and channels in _BGR else _FORMATS[channels]
    if size == 2:
        out.format = _abi.IMIAD_PIXEL_GRAY16
    out.height, out.width = pixels.shape[:2]
    out.stride, out.pixels = pixels.strides[0], pixels.ctypes.data
    out.keep = pixels
    return out


def given_map(values: Any) -> np.ndarray:
    """A map as the library takes it: float32 without gaps. Wider numbers are refused, not rounded."""
    values = array_of(values)
    if values.ndim != 2:
        raise TypeError(f"an anomaly map is height x width, not {values.shape}")
    if not np.can_cast(values.dtype, np.float32):
        raise TypeError(f"an anomaly map of {values.dtype} does not fit float32: round it yourself, "
                        f"with astype(numpy.float32)")
    return np.ascontiguousarray(values, np.float32)


def _check_truth(mask: np.ndarray) -> None:
    """Truth is 0 or above; -1, which others write for normal, is not taken for a defect."""
    if mask.dtype.kind == "f" and np.isnan(mask).any():
        raise Error(Status.NOT_FINITE, "a value of the truth is NaN")
    if mask.dtype.kind in "if" and (mask < 0).any():
        raise Error(Status.OUT_OF_RANGE, "a value of the truth is below zero: 0 is good, 1 or any value "
                                         "above is defective")


def given_mask(mask: Any) -> Any:
    """A ground truth as the library takes it: non-zero is defective; a path is read."""
    if isinstance(mask, (str, os.PathLike)):
        mask = read_image(mask)
    mask = array_of(mask)
    if mask.ndim != 2:
        raise TypeError(f"a mask is height x width, not {mask.shape}")
    if mask.dtype == np.bool_:
        mask = mask.view(np.uint8)
    elif mask.dtype != np.uint8:
        _check_truth(mask)
        mask = (mask != 0).view(np.uint8)
    return given(mask)


def _decoding(low: float, high: float, upright: bool, deep: bool) -> Any:
    options = made(_abi.imiad_decode_options)
    options.low, options.high, options.upright, options.deep = low, high, upright, deep
    return options


def read_image(path: Union[str, bytes, "os.PathLike[str]"], *, low: float = 0, high: float = 0,
               upright: bool = False, deep: bool = False) -> np.ndarray:
    """Reads an image file: height x width bytes where it is grey, else x 3, RGB.

    low, high: values of samples with more than 8 bits that become 0 and 255; equal: 0 and 65535
    upright: turned as the camera wrote; False: as it is stored, as Pillow opens it
    deep: grey of more than 8 bits becomes uint16, as detectors are shown a path or a dataset's image; low
        and high become 0 and 65535, and where they are equal, the file says its range
    """
    out = ctypes.POINTER(_abi.imiad_image)()
    lib.imiad_image_read_with(out, name_of(path), _decoding(low, high, upright, deep))
    return taken(out)


def decode_image(data: bytes, *, low: float = 0, high: float = 0, upright: bool = False,
                 deep: bool = False) -> np.ndarray:
    """The same from the bytes of an image file in memory."""
    out = ctypes.POINTER(_abi.imiad_image)()
    held = bytes(data)
    lib.imiad_image_decode(out, held, len(held), _decoding(low, high, upright, deep))
    return taken(out)


def write_png(image: ImageLike, path: Union[str, "os.PathLike[str]"], bgr: bool = False) -> None:
    """Writes a PNG file, whole or not at all; missing folders are made."""
    lib.imiad_image_write_png(given(image, bgr), name_of(path))


def resize(image: ImageLike, width: int, height: int) -> np.ndarray:
    """Pillow's antialiased bilinear resize, byte for byte."""
    out = ctypes.POINTER(_abi.imiad_image)()
    lib.imiad_image_resize(out, given(image), width, height)
    return taken(out)


def stretch(image: Any, low: float, high: float) -> np.ndarray:
    """Grey of uint16 to its full range: low becomes 0, high 65535, rounded between, clamped beyond.

    A camera of 12 bits: stretch(frame, 0, 4095). Choose low and high once for a station.
    """
    pixels = array_of(image)
    if pixels.ndim != 2 or pixels.dtype.kind != "u" or pixels.itemsize != 2:
        raise TypeError(f"stretch takes height x width of uint16, not {pixels.shape} of {pixels.dtype}")
    out = ctypes.POINTER(_abi.imiad_image)()
    lib.imiad_image_stretch(out, _rectangle(pixels.astype(np.uint16, copy=False)), low, high)
    return taken(out)


def from_floats(pixels: Any, low: float = 0.0, high: float = 1.0, deep: bool = False) -> np.ndarray:
    """An image of bytes from floats, height x width or x 3: low becomes 0, high 255, between rounded.

    deep: height x width of uint16; high becomes 65535
    Choose low and high once for a station.
    """
    values = array_of(pixels)
    if values.ndim not in (2, 3):
        raise TypeError(f"pixels are height x width (x 3), not {values.shape}")
    if values.dtype.kind in "ui" and (low, high) == (0.0, 1.0):
        raise TypeError(f"pixels of {values.dtype} need a range: from_floats(image, low, high), such as 0, "
                        f"4095")
    values = values.astype(np.float32, copy=False)
    if any(stride % 4 for stride in values.strides):
        values = np.ascontiguousarray(values)
    steps = [stride // 4 for stride in values.strides]
    options = made(_abi.imiad_float_pixels)
    options.height, options.width = values.shape[:2]
    options.channels = values.shape[2] if values.ndim == 3 else 1
    options.values = values.ctypes.data
    options.row_stride, options.pixel_stride = steps[:2]
    options.channel_stride = steps[2] if values.ndim == 3 else 0
    options.low, options.high, options.deep = low, high, deep
    out = ctypes.POINTER(_abi.imiad_image)()
    lib.imiad_image_from_floats(out, options)
    return taken(out)


def tiles(image: ImageLike, side: int, overlap: float = 0.25) -> list[np.ndarray]:
    """Views of the squares that cover an image: as few as overlap by at least overlap * side."""
    whole = given(image)
    found, view = [], made(_abi.imiad_image)
    for i in range(lib.imiad_image_tile_count(whole.width, whole.height, side, overlap)):
        lib.imiad_image_tile(view, whole, side, overlap, i)
        y, x = divmod(view.pixels - whole.pixels, whole.stride)
        x //= whole.keep.itemsize * _CHANNELS[whole.format]
        found.append(whole.keep[y:y + side, x:x + side])
    return found


def draw_heatmap(image: ImageLike, map: Any, *, low: float = 0.0, high: float = 0.0,
                 opacity: float = 0.6, title: Optional[str] = None, mask: Any = None,
                 threshold: Optional[float] = None, anomalous: Optional[bool] = None) -> np.ndarray:
    """The image, the image under its heat map, and a colour bar: height x width x 3 bytes.

    map: height x width scores, stretched over the image
    low, high: scores at the ends of the colour scale; equal ones ask for the map's own range
    mask: the ground truth, of the image's size, whose outline is drawn
    threshold: a value of the map that is marked on the colour bar
    anomalous: the verdict that stands in front of the title; None: none
    """
    values = given_map(map)
    options = made(_abi.imiad_heatmap_options)
    options.low, options.high, options.opacity = low, high, opacity
    options.title = name_of(title) if title is not None else None
    if threshold is not None:
        options.has_threshold, options.threshold = 1, threshold
    if anomalous is not None:
        options.verdict = _abi.IMIAD_VERDICT_ANOMALOUS if anomalous else _abi.IMIAD_VERDICT_OK
    truth = given_mask(mask) if mask is not None else None
    if truth is not None:
        options.mask = ctypes.pointer(truth)
    out = ctypes.POINTER(_abi.imiad_image)()
    lib.imiad_image_draw_heatmap(out, given(image), values.ctypes.data, values.shape[1],
                                 values.shape[0], options)
    return taken(out)
