"""The figure of a year's bill stands beside a reference that gives the same months."""

import sys

import pytest

from meterhouse.bench import bill, reference


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="PySAM has no wheel for this Python yet")
def test_the_figure_has_a_reference_that_agrees(monkeypatch):
    monkeypatch.setattr(bill, "BILLS", 1)
    (figure,) = bill.figures()
    assert figure["value"] > 0
    assert figure["reference"] > 0


def test_without_the_reference_the_figure_stands_alone(monkeypatch):
    monkeypatch.setattr(bill, "BILLS", 1)
    monkeypatch.setattr(reference, "is_there", lambda: False)
    (figure,) = bill.figures()
    assert figure["value"] > 0
    assert (figure["reference"], figure["ratio"]) == (None, None)


def test_a_reference_that_does_not_agree_is_an_error(monkeypatch):
    monkeypatch.setattr(bill, "BILLS", 1)
    monkeypatch.setattr(reference, "is_there", lambda: True)
    monkeypatch.setattr(reference, "monthly_bills", lambda price, energy_wh: ([1.0] * 12, 0.001))
    with pytest.raises(AssertionError):
        bill.figures()
