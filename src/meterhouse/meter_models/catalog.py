"""The models that came with the product, loaded once.

Owns where the files are and nothing of what they say.
"""

from functools import cache
from importlib.resources import files

from meterhouse.errors import NotFound
from meterhouse.meter_models.schema import MeterModel, from_toml


@cache
def _all() -> dict[str, MeterModel]:
    found = {}
    for file in files(__package__).iterdir():
        if file.name.endswith(".toml"):
            model = from_toml(file.name, file.read_text(encoding="utf-8"))
            found[model.name] = model
    return found


def names() -> list[str]:
    """The names of all models, sorted."""
    return sorted(_all())


def load(name: str) -> MeterModel:
    """The model of that name.

    Raises:
        NotFound: there is no such model.
        MeterModelInvalid: one of the files cannot be used.
    """
    try:
        return _all()[name]
    except KeyError:
        raise NotFound("meter model", name) from None


def generic(protocol: str) -> MeterModel:
    """The model that stands for every meter of a protocol.

    Raises:
        NotFound: no file describes one.
    """
    for model in _all().values():
        if model.is_generic and model.protocol == protocol:
            return model
    raise NotFound("meter model", protocol)


def of_protocol(protocol: str) -> list[MeterModel]:
    """Every model of a protocol, by name."""
    return [_all()[name] for name in names() if _all()[name].protocol == protocol]
