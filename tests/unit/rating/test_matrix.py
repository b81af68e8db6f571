"""The dense kernel keeps its bounds, and its meters apart."""

import numpy as np
import pytest

from meterhouse.errors import OutOfRange
from meterhouse.rating.arrays import ArraysDisagree
from meterhouse.rating.matrix import rate_matrix


@pytest.mark.parametrize("energies", [[[-1, 5]], [[2**30, 0]], [[2**30 - 1] * 9]])
def test_the_dense_kernel_refuses_what_could_overflow(energies):
    slots = len(energies[0])
    with pytest.raises(OutOfRange):
        rate_matrix(
            np.array(energies), np.zeros(slots, np.int64), np.array([[10**9]]),
            np.zeros(0, np.int64), np.zeros(1, np.int64),
        )  # fmt: skip


def test_the_dense_kernel_keeps_meters_apart():
    amounts = rate_matrix(
        np.full((3, 100), 10), np.arange(100) % 2, np.array([[1, 10], [2, 20]]),
        np.array([500]), np.array([0, 250, 500]),
    )  # fmt: skip
    # 25 + 25 slots in each block; 13 + 12 slots below the limit and 37 + 38 above; all above.
    assert amounts.tolist() == [250 + 500 + 2_500 + 5_000, 130 + 240 + 3_700 + 7_600, 15_000]


def test_energies_that_are_no_int64_are_refused():
    none = np.zeros(0, np.int64)
    with pytest.raises(ArraysDisagree):
        rate_matrix(np.zeros((1, 1)), np.zeros(1, np.int64), np.array([[1]]), none, np.array([0]))
