"""The audit: what an act's entry and kept answer cost, and how many entries are sealed a second.

Owns a site of 20 rooms and an act that changes next to nothing, done bare and then as an act; the
difference is the audit's own. Both are committed with all that durability asks for.
"""

import secrets
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from meterhouse.bench.site import Site, monday, open_site, straight_links
from meterhouse.config import Settings
from meterhouse.flows import audit, command
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Doer, Done, Via, perform
from meterhouse.model import CommandKind
from meterhouse.store import proofs
from meterhouse.store.audit import Entry, write
from meterhouse.store.db import Database

ROOMS = 20
ACTS, BATCHES, BATCH_ENTRIES = 400, 20, 1_000


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """Milliseconds an act bare and with its entry and answer; entries sealed and proven."""
    async with open_site(settings, "audit", straight_links(ROOMS), monday()) as site:
        bare_ms, act_ms = await _acts(site)
        sealed_per_s, proven_per_s = await _seals(site)
    return [
        _figure("audit.act_bare", bare_ms, "ms an act", None),
        _figure("audit.act", act_ms, "ms an act, with entry and answer", bare_ms),
        _figure("audit.sealed", sealed_per_s, "entries/s", None),
        _figure("audit.proven", proven_per_s, "entries/s", None),
    ]


async def _acts(site: Site) -> tuple[float, float]:
    """The same flow alternately alone and as an act, so that both meet the same machine."""
    spans: dict[bool, float] = {True: 0.0, False: 0.0}
    for number in range(2 * ACTS):
        audited = bool(number % 2)
        begin = perf_counter()
        if audited:
            doer = Doer(1, Via.API, datetime.now(UTC), "bench", secrets.token_hex(16))
            await perform(
                site.db, doer, [site.project_id], "meter.read", Verb.METER_READ, {"n": number},
                _read(site, number),
            )  # fmt: skip
        else:
            await _read(site, number)(site.db)
        spans[audited] += perf_counter() - begin
    return round(spans[False] / ACTS * 1000, 3), round(spans[True] / ACTS * 1000, 3)


def _read(site: Site, number: int) -> Any:
    meter_id = site.meter_ids[number // 2 % ROOMS]

    async def work(db: Database) -> Done:
        await command.request(
            db, site.project_id, [meter_id], CommandKind.READ, "", None, datetime.now(UTC)
        )
        return Done(f"meter:{meter_id}", {"id": number}, after={"kind": "read"})

    return work


async def _seals(site: Site) -> tuple[int, int]:
    """Entries a second sealed, and computed anew by `verify`."""
    await audit.seal(site.db, site.project_id, datetime.now(UTC))
    sealing_s = 0.0
    for _ in range(BATCHES):
        async with site.db.transaction([site.project_id]) as connection:
            for number in range(BATCH_ENTRIES):
                entry = Entry(
                    datetime.now(UTC), 1, Via.API, "meter.read", "meter.read", f"meter:{number}",
                    {"relay": "closed"}, {"relay": "open"}, "bench", "bench",
                )  # fmt: skip
                await write(connection, site.project_id, entry)
        begin = perf_counter()
        await audit.seal(site.db, site.project_id, datetime.now(UTC))
        sealing_s += perf_counter() - begin
    begin = perf_counter()
    chains = await proofs.prove_audit(site.address)
    proving_s = perf_counter() - begin
    assert not any(chain.broken or chain.open for chain in chains)
    total = sum(chain.sealed for chain in chains)
    return round(BATCHES * BATCH_ENTRIES / sealing_s), round(total / proving_s)


def _figure(name: str, measured: Any, unit: str, reference: Any) -> dict[str, Any]:
    ratio = None if reference is None else round(measured / reference, 2)
    return {
        "name": name, "value": measured, "unit": unit, "reference": reference, "ratio": ratio,
    }  # fmt: skip
