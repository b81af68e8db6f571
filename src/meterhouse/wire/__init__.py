"""Bytes and frames of meter protocols, both roles, without I/O.

Owns framing, checksums, resynchronisation and the layout of data items. Must never know a meter
model, a driver, a clock or a socket: a codec that cannot block can be fuzzed, replayed and shared
by the head end and the simulated town.
"""
