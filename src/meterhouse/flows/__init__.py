"""The verbs: one flow, one function, one database transaction.

Owns the order of things: load, ask the kernels, store. Must never hold SQL, a frame or a screen.
A flow that has returned has committed; one that raised has changed nothing.
"""
