"""What every kernel of this floor shares: compilation, array types, and the checks at the door.

Owns how a function is compiled and how an array's bounds are asserted before it enters one. Must
never know what the numbers mean: a kernel trusts its arguments, so they are checked once, here.

Compiled kernels are kept in numba's cache folder (`NUMBA_CACHE_DIR`). The composition root sets it
before this package is imported, because numba reads it at import and fails on a folder it cannot
write.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

from meterhouse.errors import BadInput, OutOfRange

Ints: TypeAlias = npt.NDArray[np.int64]
Codes: TypeAlias = npt.NDArray[np.int8]
Flags: TypeAlias = npt.NDArray[np.bool_]

# 2100-01-01. A span below it, times the largest power, stays inside 63 bits (see `delta`).
AT_US_MAX = 4_102_444_800_000_000

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])


class ArraysDisagree(BadInput):
    """{what} has shape {shape}; it must be {wanted}."""

    code = "arrays_disagree"

    def __init__(self, what: str, shape: tuple[int, ...], wanted: str) -> None:
        super().__init__(what=what, shape=shape, wanted=wanted)


class OutOfOrder(BadInput):
    """{what} must come in order; the one at place {place} does not."""

    code = "out_of_order"

    def __init__(self, what: str, place: int) -> None:
        super().__init__(what=what, place=place)


def jit(function: _Kernel) -> _Kernel:
    """Compile a kernel to machine code on first use; it runs without the interpreter's lock."""
    return cast(_Kernel, njit(cache=True, nogil=True)(function))


def ints(what: str, array: npt.ArrayLike, shape: tuple[int, ...], low: int, high: int) -> Ints:
    """The array as contiguous int64 of this shape, every element between `low` and `high`.

    Copied only where it is not yet aligned, contiguous and writeable: numba compiles a kernel anew
    for each such variety, and a buffer read from a socket is usually another one.

    Raises:
        ArraysDisagree: the shape is another, or the elements are no integers.
        OutOfRange: an element lies outside; the first such element is named.
    """
    given = np.asarray(array)
    if given.shape != shape or given.dtype.kind not in "iub":
        raise ArraysDisagree(what, given.shape, f"integers of shape {shape}")
    checked = np.require(given, np.int64, ["C", "A", "W"])
    if checked.size and (int(checked.min()) < low or int(checked.max()) > high):
        outside = checked[(checked < low) | (checked > high)]
        raise OutOfRange(what, int(outside[0]), low, high)
    return checked
