"""Makes the SDK's Python from the contract of the API.

Owns the whole way from an OpenAPI document to source text, as pure functions: `text` lays lines
out, `schemas` says how a schema looks in Python, `shapes` and `operations` write the two modules.
Must never know a particular operation or shape.
"""
