"""I/O with machines: lines to gateways, one conversation per bus, samples to the reading flow.

Owns sockets and their limits. Must never know money or SQL: it reads, it sends what a flow has
released, and it hands back what the meter said.
"""
