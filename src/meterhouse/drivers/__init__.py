"""Drivers: intents into conversations, one protocol family a room, no I/O and no clock.

Owns what is asked in which order, which answers count, and when an effect is proven. Must never
know a socket, a database or an account: a conversation is a generator, so the same code runs
under asyncio, against the simulated meter, and under a property test.
"""

from meterhouse.drivers.registry import driver_for

__all__ = ["driver_for"]
