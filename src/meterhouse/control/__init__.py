"""Facts to decisions: when a relay opens or closes, who is warned, and what forbids it.

Pure: it answers what should be; a flow queues the command and the head end sends it.
"""
