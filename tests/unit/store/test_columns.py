"""Sorted ids, dense and sparse: the quick ways say what NumPy's own functions say."""

import numpy as np
import pytest

from meterhouse.store.columns import distinct, find, lie_close


@pytest.mark.parametrize("ids", [[], [7], [3, 1, 3, 2, 1], [0, 0, 10**15]])
def test_distinct_is_every_id_once_ascending(ids):
    assert distinct(np.array(ids, np.int64)).tolist() == sorted(set(ids))


def test_ids_lie_close_when_a_quarter_of_their_range_is_there():
    assert lie_close(np.array([10, 13, 17]))
    assert not lie_close(np.array([10, 14, 22]))
    assert not lie_close(np.array([], np.int64))


@pytest.mark.parametrize("known", [[5, 6, 8], [5, 1_000_000, 10**15]])
def test_find_tells_the_place_and_whether_it_is_there(known):
    wanted = np.array([*known, 0, 7, 10**16])
    place, there = find(np.array(known), wanted)
    assert there.tolist() == [True, True, True, False, False, False]
    assert np.array(known)[place[there]].tolist() == known


def test_nothing_is_found_among_nothing():
    _, there = find(np.array([], np.int64), np.array([1, 2]))
    assert not there.any()
