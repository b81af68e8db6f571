"""What signing in costs, and how much of it is argon2.

Owns the measurement, in a site of its own on the embedded server. The password's check is meant to
be slow; everything around it is not.
"""

import time
from datetime import UTC, datetime
from statistics import median
from typing import Any

from meterhouse.bench.site import monday, open_site, straight_links
from meterhouse.config import Settings
from meterhouse.flows import access, passwords, signin

TRIES = 15


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """Milliseconds of a whole sign-in, of argon2 within it, and of finding a session's person."""
    async with open_site(settings, "signin", straight_links(20), monday()) as site:
        db = site.db
        password, now = passwords.new_password(), datetime.now(UTC)
        await access.add_person(
            db, "bench", "Bench", password, "platform_administrator", "platform", 0, now
        )
        whole_ms, check_ms, found_ms = [], [], []
        stored = await passwords.hashed(password)
        for _ in range(TRIES):
            begun = time.perf_counter()
            opened = await signin.sign_in(db, "bench", password, "bench", now)
            whole_ms.append((time.perf_counter() - begun) * 1e3)
            assert opened is not None
            begun = time.perf_counter()
            assert await passwords.fits(stored, password)
            check_ms.append((time.perf_counter() - begun) * 1e3)
            begun = time.perf_counter()
            assert await access.known_by_session(db, opened.token, now) is not None
            found_ms.append((time.perf_counter() - begun) * 1e3)
    whole, check = median(whole_ms), median(check_ms)
    return [
        {"name": "signin.whole", "value": round(whole, 1), "unit": "ms"},
        {"name": "signin.argon2", "value": round(check, 1), "unit": "ms", "reference":
         round(whole, 1), "ratio": round(check / whole, 2)},
        {"name": "signin.session", "value": round(median(found_ms), 2), "unit": "ms"},
    ]  # fmt: skip
