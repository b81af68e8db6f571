"""Which route answers an address, found by the address's shape instead of by asking every route.

Owns the way from a request to its route. The framework asks one route after the other, a regular
expression each; with some four hundred of them that cost more than the answers of most. Here an
address is looked up by its shape, its words with every number left out, and only the routes of that
shape are asked, in their order. Whatever is not found so goes the framework's own way: what is
not there, a method that is not, an address with a slash too many. Must never know a page.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

from fastapi import APIRouter
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

Shape: TypeAlias = tuple[str, ...]
NUMBER: Final = "#"


class Switchboard:
    """Stands before a router whose routes are all its own, none of them an included router's."""

    def __init__(self, router: APIRouter) -> None:
        self._router = router
        routes = list(router.routes)
        shaped = [(route, _shape_of(route)) for route in routes]
        self._by_shape: dict[Shape, list[BaseRoute]] = {
            wanted: [route for route, shape in shaped if shape in (None, wanted)]
            for wanted in {shape for _, shape in shaped if shape is not None}
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            for route in self._by_shape.get(_shape(scope["path"].split("/")), ()):
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope["router"] = self._router
                    scope.update(found)
                    await route.handle(scope, receive, send)
                    return
        await self._router.app(scope, receive, send)


def install(router: APIRouter) -> None:
    """Put a switchboard before a router, once it has all its routes."""
    router.middleware_stack = Switchboard(router)


def _shape(parts: Iterable[str]) -> Shape:
    return tuple(NUMBER if part.isdigit() else part for part in parts)


def _shape_of(route: BaseRoute) -> Shape | None:
    """A route's shape; None where it takes words or paths, so that it may be meant anywhere."""
    parts = str(getattr(route, "path", "{}")).split("/")
    if not hasattr(route, "methods") or any("{" in part and not _is_number(part) for part in parts):
        return None
    return tuple(NUMBER if "{" in part else part for part in parts)


def _is_number(part: str) -> bool:
    """Whether a part of a template stands for a number and nothing else."""
    inner = part.removeprefix("{").removesuffix("}")
    return part == f"{{{inner}}}" and inner.endswith(("_id", ":int"))
