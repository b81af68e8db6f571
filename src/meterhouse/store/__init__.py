"""The only SQL, and the PostgreSQL it speaks to.

Owns tables, queries, migrations and the embedded server. Must never know a frame, a screen or a
rule: flows load through it, let the kernels decide, and store what they decided.
"""
