"""The figures of decoding are printed in the form that `meterhouse bench` prints."""

from meterhouse.bench import decode


def test_the_figure_has_a_reference_and_a_ratio(monkeypatch):
    monkeypatch.setattr(decode, "FRAMES", 200)
    (figure,) = decode.figures()
    assert figure["name"] == "decode_dlt645_energy_block"
    assert figure["value"] > 0
    assert figure["ratio"] == round(figure["value"] / figure["reference"], 2)
