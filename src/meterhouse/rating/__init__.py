"""Readings to amounts: registers become billable intervals, intervals become exact money.

Owns the judgement of readings (`delta`), the scheme as data (`tariff`), its calendar laid out in
time (`timeline`) and the arithmetic (`kernel`). Must never know an account, a relay, a table or
the present instant: rating is a function of what it is given, so that any replay ends the same.
"""
