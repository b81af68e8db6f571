"""Finding every address on a bus: which ending is asked next, and what an answer proves.

Owns the order and the end of a search as one small pure state that can be written down and taken
up again. Must never know bytes or time. The line is asked as a whole first. Where more than one
meter answers, the ending is divided by its next two digits, from the lowest pair on, because a
shortened address can leave out whole bytes and no less: `""` → `00`…`99`, `07` → `0007`…`9907`.

Noise is not a second meter and silence is not nobody: an ending is divided when more was heard
twice, and passed by when it stayed silent `tries` times. One meter's clean answer settles an
ending, or two of them when there had been noise before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from meterhouse.errors import OutOfRange, Unreadable
from meterhouse.ports import Effect, Outcome

ADDRESS_DIGITS: Final = 12
PAIR: Final = 2
WHOLE: Final = 1_000_000
"""What the whole line counts for in `settled`; a part counts for a hundredth of what it is in."""

FOUND_MAX: Final = 1_000
TRIES: Final = 2
GARBLED: Final = 2


@dataclass(slots=True)
class Search:
    """A search under way.

    Attributes:
        left: endings still to be asked, the next one last.
        found: addresses heard, in the order they were found.
        clashes: full addresses under which more than one device answers.
        asks: questions put so far.
        tries: how often an ending is asked before its silence is believed.
    """

    left: list[str] = field(default_factory=lambda: [""])
    found: list[str] = field(default_factory=list)
    clashes: list[str] = field(default_factory=list)
    asks: int = 0
    tries: int = TRIES
    _alone: int = 0
    _silent: int = 0
    _garbled: int = 0

    @property
    def ending(self) -> str | None:
        """What to ask next; None when everything is settled."""
        return self.left[-1] if self.left and len(self.found) < FOUND_MAX else None

    @property
    def settled(self) -> int:
        """How much of the line is settled, of `WHOLE`; never falls."""
        return WHOLE - sum(WHOLE // int(100 ** (len(one) // PAIR)) for one in self.left)

    def take(self, outcome: Outcome) -> None:
        """What came of asking for `ending`. A line that was lost has answered nothing."""
        if outcome.values.addresses is None:
            return
        ending = self.left[-1]
        self.asks += 1
        for address in outcome.values.addresses:
            if address not in self.found and len(self.found) < FOUND_MAX:
                self.found.append(address)
        if outcome.effect is Effect.DONE:
            self._alone += 1
        elif outcome.why == "silence":
            self._silent += 1
        else:
            self._garbled += 1
        if self._garbled >= GARBLED:
            self._settle()
            self._divide(ending)
        elif self._alone > self._garbled or self._silent >= self.tries:
            self._settle()

    def _settle(self) -> None:
        self.left.pop()
        self._alone = self._silent = self._garbled = 0

    def _divide(self, ending: str) -> None:
        if len(ending) == ADDRESS_DIGITS:
            self.clashes.append(ending)
            return
        self.left += [f"{pair:02d}{ending}" for pair in reversed(range(100))]

    def to_facts(self) -> dict[str, Any]:
        """The search as JSON values, to go on from."""
        return {
            "left": list(self.left),
            "addresses": list(self.found),
            "clashes": list(self.clashes),
            "asks": self.asks,
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], tries: int = TRIES) -> "Search":
        """The search that `to_facts` wrote down."""
        return cls(
            list(facts["left"]), list(facts["addresses"]), list(facts["clashes"]), facts["asks"],
            tries,
        )  # fmt: skip

    @classmethod
    def of_ending(cls, ending: str, tries: int = TRIES) -> "Search":
        """A search among the addresses that end with these digits alone.

        Raises:
            Unreadable: not digits.
            OutOfRange: an odd number of digits, or more than an address has.
        """
        if ending and not (ending.isascii() and ending.isdecimal()):
            raise Unreadable(what="ending of an address", text=ending, wanted="digits")
        if len(ending) % PAIR or len(ending) > ADDRESS_DIGITS:
            raise OutOfRange("digits of an ending", len(ending), 0, ADDRESS_DIGITS)
        return cls(left=[ending], tries=tries)
