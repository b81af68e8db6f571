"""Channels to people: the console's own list and e-mail; SMS, voice and WeChat are plug-ins.

Owns the delivery of one notice. Must never know why it was written. A channel either delivers or
raises; the outbox tries again.
"""

from meterhouse.notifiers.console import ConsoleNotifier
from meterhouse.notifiers.email import EmailNotifier

__all__ = ["ConsoleNotifier", "EmailNotifier"]
