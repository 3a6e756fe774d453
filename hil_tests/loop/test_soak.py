"""A day of pumping under a random fault script: nothing leaks, and the truth is the integral of the flow."""

from __future__ import annotations

import os

import pytest

from hil_tests.loop.soak_hosts import HOSTS
from hil_tests.loop.soak_rig import DAY_S, Accountant, Day, a_day_of
from sim.devices.kinds import BUILT_IN, device_kind
from sim.devices.new_era import NewEraPump
from sim.mechanics import Drive, Line, Truth
from sim.virtual_loop import run_virtual

LONG = os.environ.get("INFUSOR_LONG") == "1"
ELASTIC = Line(compliance_nl_mmhg=2_000, resistance_mmhg_min_ul=0.01)
WORN = Drive(slack_nl=20_000, backlash_um=30)


def day(dialect: str, seed: int, *, line: Line = Line(), drive: Drive = Drive()) -> Day:
    run = a_day_of(device_kind(dialect), seed, line=line, drive=drive)
    result, _ = run_virtual(run, seed=seed, budget_s=DAY_S + 3_600.0)
    assert isinstance(result, Day)
    return result


@pytest.mark.parametrize("seed", range(20) if LONG else range(1))
@pytest.mark.parametrize(
    ("dialect", "make"),
    [
        *((dialect, "ideal") for dialect in sorted(HOSTS)),
        *((dialect, "elastic and worn") for dialect in (sorted(HOSTS) if LONG else ["new-era"])),
    ],
)
def test_after_a_day_of_faults_the_truth_is_the_integral_of_the_flow(
    dialect: str, make: str, seed: int
) -> None:
    found = day(dialect, seed) if make == "ideal" else day(dialect, seed, line=ELASTIC, drive=WORN)
    account = found.account
    assert account.problems == []
    assert account.plunger_nl > 50_000_000, "it has pumped for most of the day"
    assert account.worst_nl <= min(account.allowed_nl, 5.0)
    assert found.still_pumps
    assert len(found.done) > 20, "many kinds of fault were there"
    first, last = found.objects[1], found.objects[-1]
    assert last - first < 500, f"{last - first} objects more than after two hours"


class Leaky(NewEraPump):
    """A millionth of what its plunger does is not in its account."""

    def truth(self) -> Truth:
        told = super().truth()
        return told._replace(plunger_nl=told.plunger_nl - told.plunger_nl // 1_000_000)


class Lossy(NewEraPump):
    """Two nanolitres are nowhere."""

    def truth(self) -> Truth:
        told = super().truth()
        return told._replace(stored_nl=told.stored_nl - 2)


def hour_of(pump: NewEraPump) -> Accountant:
    account = Accountant(pump)
    account.feed(b"RAT900MH\r", 0.0)  # the first answer is the alarm of a fresh start
    account.feed(b"RAT900MH\r", 0.0)
    account.feed(b"RUN\r", 0.0)
    account.advance(3_600.0)
    return account


def test_the_account_would_see_a_millionth_that_leaks_and_two_nanolitres_that_are_lost() -> None:
    assert hour_of(NewEraPump()).worst_nl <= 1.0
    leaky = hour_of(Leaky())
    assert leaky.worst_nl > 800.0 > leaky.allowed_nl
    assert "a volume is lost" in hour_of(Lossy()).problems[0]


def test_every_built_in_dialect_has_its_day() -> None:
    assert sorted(HOSTS) == sorted(BUILT_IN)
