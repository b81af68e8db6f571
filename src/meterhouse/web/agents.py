"""What a browser calls itself, in words a person recognises their own device by.

Owns a short list of signs. Must never decide anything by them: anybody may send any text.
"""

from typing import Final

from meterhouse.words import N_, Words

# First found wins: most browsers also claim to be the ones further down.
_BROWSERS: Final = (
    ("MicroMessenger", "WeChat"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_UNKNOWN: Final = N_("Unknown device")


def device(agent: str, words: Words) -> str:
    """The browser and system a user agent's text speaks of."""
    browser = next((name for sign, name in _BROWSERS if sign in agent), None)
    system = next((name for sign, name in _SYSTEMS if sign in agent), None)
    if browser and system:
        return words(N_("{browser} on {system}"), browser=browser, system=system)
    return browser or system or words(_UNKNOWN)
