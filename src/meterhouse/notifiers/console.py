"""The console's own channel: the notice is on the console's list as soon as it is written."""

from meterhouse.ports import Notice


class ConsoleNotifier:
    """Delivers by being seen; nothing has to travel."""

    channel = "console"

    async def send(self, notice: Notice) -> None:
        """Nothing is left to do: the outbox row itself is what staff see."""
        del notice
