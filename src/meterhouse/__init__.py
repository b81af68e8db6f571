"""meterhouse: a remote prepaid utility platform.

Meters on a bus are read, readings are rated, a household's money runs down in an exact ledger,
warnings go out, and a relay or valve is switched. `docs/architecture.md` is the map of the rooms.
"""

__version__ = "0.1.0"
