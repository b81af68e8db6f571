"""The only SQL in the house: tables, connections under a scope, and set-based reads and writes.

Owns PostgreSQL. Must never decide: it loads facts for kernels and stores what they answered.
Every function takes an open connection, so that a flow alone says where a transaction begins.
"""
