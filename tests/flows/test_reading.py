"""Readings become charges, accruals, warnings and commands, in one transaction."""

from premises import MORNING


async def test_a_reading_is_charged_from_the_one_before(site, clock):
    await site.say(1_000)
    clock.step(minutes=30)
    done = await site.say(3_000)
    assert (done.fresh, done.doubtful) == (1, 0)
    state = await site.state()
    assert (state["accrued_nano"], state["rated_nano"]) == (2_000 * 600_000,) * 2
    charge = await site.row("select * from charge")
    assert (charge["started_at"], charge["ended_at"]) == (MORNING, clock())
    assert charge["energy_milli"] == 2_000
