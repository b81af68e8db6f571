"""Finding meters: whatever hangs on a bus is found, and nothing that does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterhouse.drivers import driver_for
from meterhouse.drivers.search import WHOLE, Search
from meterhouse.errors import OutOfRange, Unreadable
from meterhouse.meter_models import generic
from meterhouse.ports import Effect, FindMeters, Identify, MeterRef, Outcome, Values
from meterhouse.sim.answers import MeterFace, StrangeFace
from meterhouse.sim.bus import Bus, LineTiming
from meterhouse.sim.faults import Fault, Faults
from meterhouse.sim.line import START_MS, Line, run_conversation
from meterhouse.sim.spec import MeterSpec
from meterhouse.sim.town import face_of

PATIENCE_MS = 600
OFFSET_MS = 8 * 3_600_000
EDITIONS = ("dlt645-2007", "dlt645-1997")


class Echoes(MeterFace):
    """A meter that answers under the very address it was asked by, wildcards and all."""

    def answer(self, request):
        return [
            type(one)(request.address, one.control, one.data) for one in super().answer(request)
        ]


def bus_of(addresses, protocol="dlt645-2007", timing=None, kind=None):
    model = generic(protocol).name
    faces = [
        face_of(MeterSpec(one, model, seed=int(one)), START_MS, OFFSET_MS) for one in addresses
    ]
    if kind is not None:
        faces = [kind(face.meter) for face in faces]
    return Bus(faces, faults=Faults(5), timing=timing, seed=5)


def sweep(bus, protocol="dlt645-2007", search=None, asks_max=100_000):
    """Ask until the search is over; `Search` keeps what it found."""
    driver = driver_for(protocol, "rs485")
    meter = MeterRef("A" * 12, generic(protocol).name)
    line = Line(bus)
    search = search or Search()
    settled = search.settled
    while (ending := search.ending) is not None and search.asks < asks_max:
        search.take(run_conversation(driver, meter, FindMeters(ending, PATIENCE_MS), line))
        assert search.settled >= settled
        settled = search.settled
    return search


@pytest.mark.parametrize("protocol", EDITIONS)
def test_a_meter_alone_is_found_with_one_question(protocol):
    search = sweep(bus_of(["000000004711"], protocol), protocol)
    assert search.found == ["000000004711"]
    assert (search.asks, search.settled) == (1, WHOLE)


@pytest.mark.parametrize("protocol", EDITIONS)
def test_an_empty_line_is_believed_after_two_silences(protocol):
    search = sweep(bus_of([], protocol), protocol)
    assert (search.found, search.asks, search.clashes) == ([], 2, [])


@pytest.mark.parametrize("protocol", EDITIONS)
def test_two_neighbours_are_told_apart_by_their_lowest_pair(protocol):
    search = sweep(bus_of(["000000000011", "000000000012"], protocol), protocol)
    assert search.found == ["000000000011", "000000000012"]
    assert search.asks == 2 + 98 * 2 + 2


def test_thirty_seven_meters_in_a_row_cost_two_hundred_questions():
    addresses = [f"{2_400_000_000_000 // 10 + n:012d}" for n in range(37)]
    search = sweep(bus_of(addresses, timing=LineTiming()))
    assert sorted(search.found) == addresses
    assert search.asks <= 2 + 2 * 100


def test_meters_that_differ_in_their_highest_pair_alone_are_told_apart():
    addresses = ["010000000007", "020000000007"]
    assert sorted(sweep(bus_of(addresses)).found) == addresses


@given(
    addresses=st.sets(st.integers(0, 10**12 - 2), max_size=6), protocol=st.sampled_from(EDITIONS)
)
@settings(max_examples=25, deadline=None)
def test_any_set_of_addresses_is_found_exactly(addresses, protocol):
    printed = sorted(f"{one:012d}" for one in addresses)
    search = sweep(bus_of(printed, protocol), protocol)
    assert sorted(search.found) == printed
    assert (search.clashes, search.settled) == ([], WHOLE)


@given(
    endings=st.sets(st.integers(0, 99), min_size=2, max_size=5),
    tops=st.sets(st.integers(0, 9999), min_size=1, max_size=3),
)
@settings(max_examples=10, deadline=None)
def test_addresses_that_share_most_digits_are_found_exactly(endings, tops):
    printed = sorted({f"{top:04d}000000{ending:02d}" for top in tops for ending in endings})
    assert sorted(sweep(bus_of(printed)).found) == printed


def test_meters_that_say_only_the_wildcard_are_found_by_their_whole_address():
    bus = bus_of(["000000000003"], "dlt645-1997", kind=Echoes)
    search = sweep(bus, "dlt645-1997")
    assert search.found == ["000000000003"]


# ---- faults


def test_one_meter_out_of_step_is_heard_after_the_others():
    addresses = ["000000000011", "000000000012", "000000000013"]
    bus = bus_of(addresses)
    bus.faults.switch_on(Fault.OUT_OF_STEP, where=addresses[1])
    assert sorted(sweep(bus).found) == addresses
    assert bus.faults.counts[Fault.OUT_OF_STEP] == 2


def test_a_lost_answer_is_asked_for_again():
    addresses = ["000000000011", "000000000012"]
    bus = bus_of(addresses)
    for address in addresses:
        bus.faults.switch_on(Fault.SILENCE, where=address, times=1)
    assert sorted(sweep(bus).found) == addresses
    assert bus.faults.counts[Fault.SILENCE] == 2


def test_noise_before_the_answer_is_no_second_meter():
    bus = bus_of(["000000000011"])
    bus.faults.switch_on(Fault.GARBAGE, times=1)
    search = sweep(bus)
    assert search.found == ["000000000011"]
    assert (search.asks, bus.faults.counts[Fault.GARBAGE]) == (3, 1)


def test_noise_without_end_divides_down_to_the_device_and_says_that_it_clashes():
    bus = bus_of(["000000000011"])
    bus.faults.switch_on(Fault.GARBAGE)
    search = sweep(bus, search=Search.of_ending("0000000011"))
    assert (search.found, search.clashes) == (["000000000011"], ["000000000011"])


def test_a_meter_that_drowns_the_other_hides_it_and_nothing_is_invented():
    bus = bus_of(["000000000011", "000000000012"])
    bus.faults.switch_on(Fault.DROWNED)
    assert sweep(bus).found == ["000000000011"]
    assert bus.faults.counts[Fault.DROWNED] == 1


def test_an_answer_that_comes_late_is_not_forgotten():
    """Its sender answers the question before; it is a meter all the same."""
    search = Search()
    search.take(Outcome(Effect.UNKNOWN, Values(addresses=()), "several"))
    search.take(Outcome(Effect.UNKNOWN, Values(addresses=()), "several"))
    assert search.ending == "00"
    search.take(Outcome(Effect.UNKNOWN, Values(addresses=("000000000099",)), "silence"))
    assert search.found == ["000000000099"]
    assert search.ending == "00"


def test_a_lost_line_answers_nothing():
    search = Search()
    search.take(Outcome(Effect.UNKNOWN, why="line_lost"))
    assert (search.ending, search.asks) == ("", 0)


def test_a_device_that_tells_its_address_alone_is_found_and_stays_unknown():
    bus = bus_of(["000000000011"], kind=StrangeFace)
    assert sweep(bus).found == ["000000000011"]
    outcome = identify(bus, "000000000011")
    assert outcome.effect is Effect.DONE
    assert (outcome.values.total_milli, outcome.values.phases) == (None, None)
    assert dict(outcome.values.parameters) == {}


# ---- going on


def test_a_search_goes_on_where_it_was_written_down():
    addresses = [f"{n:012d}" for n in (5, 17, 105)]
    bus = bus_of(addresses)
    first = sweep(bus, asks_max=30)
    assert 0 < first.settled < WHOLE
    second = sweep(bus, search=Search.from_facts(first.to_facts()))
    assert sorted(second.found) == addresses
    assert second.asks > first.asks


def test_a_search_can_begin_at_an_ending():
    bus = bus_of(["000000000105", "000000000205", "000000000206"])
    assert sweep(bus, search=Search.of_ending("05")).found == ["000000000105", "000000000205"]


@pytest.mark.parametrize(
    ("ending", "error"), [("5", OutOfRange), ("0" * 14, OutOfRange), ("ab", Unreadable)]
)
def test_an_ending_is_whole_pairs_of_digits(ending, error):
    with pytest.raises(error):
        Search.of_ending(ending)


# ---- what kind it is


def identify(bus, address, protocol="dlt645-2007"):
    driver = driver_for(protocol, "rs485")
    return run_conversation(
        driver, MeterRef(address, generic(protocol).name), Identify(), Line(bus)
    )


@pytest.mark.parametrize(("model", "phases"), [("DDSY1352-NK", 1), ("DTSY1352-NK", 3)])
def test_a_meter_tells_its_kind_its_register_and_its_clock(model, phases):
    spec = MeterSpec("000000000011", model, start_wh=(1_000, 2_000, 3_000, 4_000))
    bus = Bus([face_of(spec, START_MS, OFFSET_MS)])
    said = identify(bus, spec.address).values
    assert (said.phases, said.total_milli) == (phases, 10_000)
    assert said.parameters == {"type": model[:10], "maker": "simulated"}
    assert said.clock_local is not None
    assert said.relay.name == "CLOSED"


def test_the_other_edition_tells_phases_and_register():
    said = identify(bus_of(["000000000011"], "dlt645-1997"), "000000000011", "dlt645-1997").values
    assert (said.phases, said.total_milli, said.parameters) == (1, 0, {})


def test_silence_ends_it_with_nothing_proven():
    outcome = identify(bus_of([]), "000000000011")
    assert (outcome.effect, outcome.why, outcome.asks) == (Effect.UNKNOWN, "silence", 3)
