"""Measured figures, each with what it is compared to; `meterhouse bench` prints them."""
