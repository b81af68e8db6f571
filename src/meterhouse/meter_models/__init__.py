"""Meter models: what differs between devices, as data files and never as code.

Owns the schema of a model, the files that came with the product, and the check of both. Must
never know a conversation or a database: drivers, head end, validation and simulator all read the
same facts here. A new meter of a known protocol is a new TOML file.
"""

from meterhouse.meter_models.catalog import generic, load, names
from meterhouse.meter_models.recognise import Candidate, Confidence, recognise
from meterhouse.meter_models.schema import MeterModel, MeterModelInvalid, Parameter, from_toml

__all__ = [
    "Candidate",
    "Confidence",
    "MeterModel",
    "MeterModelInvalid",
    "Parameter",
    "from_toml",
    "generic",
    "load",
    "names",
    "recognise",
]
