"""The numbers of the continual setting, from a matrix of tasks x tasks.

matrix[i][j] is a metric on task j after training on task i; only j <= i is read.
"""
from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from . import _abi
from ._library import lib


def _matrix(matrix: Any) -> np.ndarray:
    matrix = np.ascontiguousarray(matrix, np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise TypeError(f"the matrix is tasks x tasks, not {matrix.shape}")
    return matrix


def _ask(function: Any, matrix: Any, *arguments: Any) -> float:
    matrix, out = _matrix(matrix), ctypes.c_double()
    function(ctypes.byref(out), matrix.ctypes.data, len(matrix), *arguments)
    return out.value


def average(matrix: Any) -> float:
    """ACC: the mean over all tasks after the last one."""
    return _ask(lib.imiad_continual_average, matrix)


def forgetting(matrix: Any, task: int) -> float:
    """What the end has lost on one task against the best moment before."""
    return _ask(lib.imiad_continual_forgetting, matrix, task)


def forgetting_measure(matrix: Any, *, published: bool = False) -> float:
    """FM: forgetting over all tasks but the last; published: divided as IM-IAD's tables are."""
    form = _abi.IMIAD_FORGETTING_PUBLISHED if published else _abi.IMIAD_FORGETTING_STANDARD
    return _ask(lib.imiad_continual_forgetting_measure, matrix, form)
