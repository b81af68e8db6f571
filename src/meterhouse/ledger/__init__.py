"""Amounts to transfers: the chart of accounts and the rules by which money may move.

Pure: it answers which transfers are due; a flow stores them.
"""
