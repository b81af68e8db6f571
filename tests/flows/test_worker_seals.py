"""The worker seals by itself, the platform's own entries too; verify tells of it in lines."""

from datetime import timedelta

from meterhouse.cli import audit_lines
from meterhouse.flows import act
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Doer, Done, Via
from meterhouse.store import audit, proofs
from meterhouse.store.db import PLATFORM
from meterhouse.worker import Worker
from premises import MORNING
from townhall import eventually


async def done(db, project_ids, at=MORNING, key=""):
    async def work(_):
        return Done("meter:1")

    doer = Doer(5, Via.API, at, "r", key)
    await act.perform(db, doer, project_ids, "meter.read", Verb.METER_READ, {}, work)


async def test_the_worker_seals_every_project_and_the_platform(site, address):
    await done(site.db, [site.project_id], MORNING - timedelta(days=8), key="an-old-key")
    await done(site.db, [])
    worker = Worker(site.db, site.clock, 1, {})
    worker.start()

    async def all_sealed():
        chains = await proofs.prove_audit(address)
        return [chain.sealed for chain in chains] == [1, 1] and chains

    chains = await eventually(all_sealed)
    await worker.stop()
    assert [chain.project_id for chain in chains] == [PLATFORM, site.project_id]
    assert (await site.row("select count(*) from answer"))["count"] == 0


def test_verify_says_of_each_chain_whether_it_holds_and_what_to_keep():
    whole = audit.Chain(PLATFORM, (), "0:1:ab", 3, 1, frozenset({"0:1:ab"}))
    torn = audit.Chain(7, (2, 3), "7:3:cd", 9, 0, frozenset())
    assert list(audit_lines([whole, torn], ["0:1:ab", "7:9:ef"])) == [
        (True, "the audit of the platform is as it was sealed (3 sealed, 1 not yet)"),
        (True, "  head 0:1:ab"),
        (False, "the audit of project 7 is as it was sealed (9 sealed, 0 not yet); "
                "seals 2, 3 do not fit"),
        (True, "  head 7:3:cd"),
        (True, "kept head 0:1:ab is still there"),
        (False, "kept head 7:9:ef is still there"),
    ]  # fmt: skip
