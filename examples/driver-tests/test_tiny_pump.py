"""The driver against a simulated pump: what it delivers, and what it says when something breaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_infusor import PumpSim, PumpSims
from tiny_pump import PumpAlarm, PumpGone, PumpRefused, TinyPump

DIAMETER_MM = 14.5


@pytest.fixture
def pump(pump_sim: PumpSims) -> PumpSim:
    """Its time moves only by ``advance``: no test waits, and every run is the same."""
    return pump_sim(dialect="new-era", syringe="bd-10", held=True)


@pytest.fixture
def driver(pump: PumpSim) -> Iterator[TinyPump]:
    made = TinyPump(pump.port, timeout_s=0.5)
    made.connect()
    yield made
    made.close()


def infuse(driver: TinyPump) -> None:
    driver.infuse(rate_ml_h=60, volume_ml=2, diameter_mm=DIAMETER_MM)


def test_it_delivers_what_was_asked_for_and_no_more(pump: PumpSim, driver: TinyPump) -> None:
    infuse(driver)
    pump.advance(30)
    assert driver.is_running()
    assert driver.delivered_ml() == pytest.approx(0.5, abs=0.001)
    assert pump.truth().delivered_nl == pytest.approx(500_000, rel=0.01)
    pump.advance(3_600)
    assert not driver.is_running()
    assert driver.delivered_ml() == pytest.approx(2, abs=0.001)
    assert pump.truth().delivered_nl == pytest.approx(2_000_000, rel=0.01)


def test_an_occlusion_ends_in_an_alarm_and_the_pump_s_own_count_is_too_high(
    pump: PumpSim, driver: TinyPump
) -> None:
    infuse(driver)
    pump.advance(30)
    pump.inject("downstream_occlusion")
    pump.advance(600)
    with pytest.raises(PumpAlarm, match="stalled"):
        driver.is_running()
    assert not driver.is_running()
    assert pump.truth().delivered_nl == pytest.approx(500_000, rel=0.01)
    assert driver.delivered_ml() > 0.6  # the plunger moved on; it is all in the line
    pump.clear("downstream_occlusion")
    assert pump.truth().released_nl > 100_000


def test_stop_stops(pump: PumpSim, driver: TinyPump) -> None:
    infuse(driver)
    pump.advance(10)
    driver.stop()
    before = pump.truth().delivered_nl
    pump.advance(3_600)
    assert pump.truth().delivered_nl == before


def test_a_pulled_cable_is_told_and_the_pump_goes_on(pump: PumpSim, driver: TinyPump) -> None:
    infuse(driver)
    pump.advance(10)
    pump.unplug()
    with pytest.raises(PumpGone):
        driver.stop()
    pump.advance(20)
    pump.replug()
    again = TinyPump(pump.port)
    assert again.is_running()
    assert again.delivered_ml() == pytest.approx(0.5, abs=0.001)
    again.close()


def test_after_a_power_cut_the_pump_stands_and_says_that_it_was_reset(
    pump: PumpSim, driver: TinyPump
) -> None:
    infuse(driver)
    pump.advance(10)
    pump.power_cycle()
    with pytest.raises(PumpAlarm, match="was reset"):
        driver.is_running()
    assert not driver.is_running()
    assert pump.truth().rate_nl_h == 0


def test_a_lost_answer_is_no_answer(pump: PumpSim, driver: TinyPump) -> None:
    pump.inject("frame_drop", direction="from_pump", for_commands=1)
    with pytest.raises(PumpGone):
        driver.ask("VER")
    assert driver.ask("VER").data.startswith("NE")


def test_what_the_pump_cannot_do_is_refused(pump: PumpSim, driver: TinyPump) -> None:
    with pytest.raises(PumpRefused):
        driver.ask("DIA99")
    assert pump.transcript[-1].data == b"\x0200S?OOR\x03"
