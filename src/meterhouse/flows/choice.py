"""What a form names that is not there: told beside its field, not as a missing page.

Owns the difference between an address that leads nowhere and a choice that has gone.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from meterhouse.errors import BadInput, NotFound


class ChoiceGone(BadInput):
    """This is not there, or is not yours to see; choose another."""

    code = "choice_gone"


@contextmanager
def chosen(field: str) -> Iterator[None]:
    """Whatever is not found in the block was named by this field. Raises `ChoiceGone`."""
    try:
        yield
    except NotFound as error:
        gone = ChoiceGone()
        gone.field = field
        raise gone from error
