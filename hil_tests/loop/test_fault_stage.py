"""A fault script on a running pump: each trigger fires where it should, each duration ends there, at any speed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hil_tests.loop.control_bench import Host
from sim.devices.kinds import device_kind
from sim.fault_stage import FaultStage, possible_for
from sim.faults.script import ScriptError, parse_script
from sim.virtual_loop import run_virtual

RUNS = b"\x0200I\x03"
NL_S = 60_000_000 / 3_600
"""What 60 mL/h delivers in a second."""


def played(script: str, scene: Callable[[Host], Awaitable[None]], *, seed: int = 0) -> None:
    """The scene, with a pump that this script is played on from its start, at 60 mL/h."""
    entries = parse_script(script, "script", possible_for(device_kind("new-era")))

    async def main() -> None:
        host = Host()
        await host.run(60)
        host.served.started_s = host.loop.time()
        FaultStage(host.served, entries, seed)
        try:
            await scene(host)
        finally:
            host.served.close()

    run_virtual(main)


def fault(kind: str, *lines: str) -> str:
    return "\n".join(["[[fault]]", f'kind = "{kind}"', *lines, ""])


def standing(host: Host) -> list[str]:
    host.served.truth()
    return list(host.served.standing)


STALL_10_TO_15 = fault("motor_stall", "at_s = 10", "for_s = 5")


def test_a_fault_of_a_time_begins_then_and_lasts_as_long_as_it_says() -> None:
    async def scene(host: Host) -> None:
        await asyncio.sleep(9.99)
        assert standing(host) == []
        await asyncio.sleep(0.02)
        assert standing(host) == ["motor_stall"]
        await asyncio.sleep(4.97)
        assert standing(host) == ["motor_stall"]
        await asyncio.sleep(0.02)
        assert standing(host) == []

    played(STALL_10_TO_15, scene)


def test_a_fault_without_a_duration_stays() -> None:
    async def scene(host: Host) -> None:
        await asyncio.sleep(100_000)
        assert standing(host) == ["mute"]

    played(fault("mute", "at_s = 0"), scene)


def test_it_comes_again_as_often_as_it_says() -> None:
    async def scene(host: Host) -> None:
        seen = []
        for _ in range(40):
            await asyncio.sleep(1.0)
            seen.append(bool(standing(host)))
        expected = [any(at <= s < at + 2 for at in (5, 15, 25)) for s in range(1, 41)]
        assert seen == expected

    played(fault("mute", "at_s = 5", "for_s = 2", "repeat = 2", "every_s = 10"), scene)


def test_a_step_goes_through_the_whole_script_at_its_own_moments() -> None:
    async def scene(host: Host) -> None:
        before = host.delivered_nl
        host.served.step(10.0)
        assert standing(host) == ["downstream_occlusion"]
        host.served.step(3_600.0)
        assert standing(host) == ["mute"]
        assert host.delivered_nl < before + 3_610 * NL_S
        deeds.append(host.delivered_nl)

    deeds: list[int] = []
    occlusion = fault("downstream_occlusion", "at_s = 10", "for_s = 1")
    played(occlusion + fault("mute", "at_s = 1000"), scene)
    # The same in small steps, and by waiting: the same physics to the nanolitre.

    async def slowly(host: Host) -> None:
        for _ in range(361):
            host.served.step(10.0)
        deeds.append(host.delivered_nl)

    async def waiting(host: Host) -> None:
        await asyncio.sleep(3_610.0)
        deeds.append(host.delivered_nl)

    played(occlusion, slowly)
    played(occlusion, waiting)
    assert max(deeds) - min(deeds) <= 2


def test_a_pump_that_runs_faster_meets_its_faults_sooner_and_one_that_is_held_never() -> None:
    async def scene(host: Host) -> None:
        host.served.run_at(10.0)
        await asyncio.sleep(0.99)
        assert standing(host) == []
        await asyncio.sleep(0.02)
        assert standing(host) == ["motor_stall"]
        host.served.hold()
        await asyncio.sleep(1_000.0)
        assert standing(host) == ["motor_stall"]
        host.served.go_on()
        await asyncio.sleep(0.5)
        assert standing(host) == []

    played(STALL_10_TO_15, scene)


def test_a_key_that_the_pump_does_not_take_is_told_and_the_script_goes_on() -> None:
    script = fault("keypad_stop", "at_s = 1") + fault("mute", "at_s = 2")
    entries = parse_script(script, "s", possible_for(device_kind("new-era")))
    heard: list[str] = []

    async def main() -> None:
        host = Host()
        FaultStage(host.served, entries, 0, heard.append)
        await asyncio.sleep(5.0)
        assert standing(host) == ["mute"]
        host.served.close()

    run_virtual(main)
    assert len(heard) == 1
    assert "fault 1 was not done: the pump does not take the key now" in heard[0]


def test_a_held_pump_costs_no_wake_ups_while_its_script_waits() -> None:
    entries = parse_script(
        STALL_10_TO_15 + fault("mute", "after_ml = 5"), "s", possible_for(device_kind("new-era"))
    )

    async def main() -> None:
        host = Host()
        FaultStage(host.served, entries, 0)
        host.served.hold()
        await asyncio.sleep(100_000.0)
        host.served.close()

    _, report = run_virtual(main)
    assert report.iterations < 20


@pytest.mark.parametrize("step", [True, False])
def test_a_fault_of_a_volume_begins_when_so_much_has_truly_left(step: bool) -> None:
    async def scene(host: Host) -> None:
        start = host.delivered_nl
        left_nl = 500_000 - start
        wait_s = left_nl / NL_S
        if step:
            host.served.step(wait_s - 0.1)
            assert standing(host) == []
            host.served.step(1_000.0)
        else:
            await asyncio.sleep(wait_s - 0.1)
            assert standing(host) == []
            await asyncio.sleep(1_000.0)
        assert standing(host) == ["motor_stall"]
        # Found within a tenth of a second, and the motor stands from then on.
        assert 500_000 <= host.delivered_nl <= 500_000 + 0.1 * NL_S + 2

    played(fault("motor_stall", "after_ml = 0.5"), scene)


def test_what_the_plunger_pushed_into_a_shut_line_is_not_delivered() -> None:
    async def scene(host: Host) -> None:
        await asyncio.sleep(60.0)
        assert host.served.truth().plunger_nl > 500_000
        assert standing(host) == ["downstream_occlusion"]

    shut = fault("downstream_occlusion", "at_s = 20")
    played(shut + fault("mute", "after_ml = 0.5"), scene)


def test_the_nth_command_of_a_name_is_the_first_to_meet_the_fault() -> None:
    async def scene(host: Host) -> None:
        assert await host.ask(b"VER\r") != b""
        assert await host.ask(b"\r") == RUNS
        assert await host.ask(b"VER\r") != b""
        heard = len(host.heard)
        host.end.write(b"VER\r")
        await asyncio.sleep(1.0)
        assert len(host.heard) == heard
        assert standing(host) == ["mute"]

    played(fault("mute", "nth_command = 3", 'command = "VER"'), scene)


def test_the_nth_command_of_any_name_counts_polls_too() -> None:
    async def scene(host: Host) -> None:
        await host.ask(b"\r")
        await host.ask(b"VER\r")
        assert standing(host) == []
        await host.ask(b"\r")
        assert standing(host) == ["motor_stall"]

    played(fault("motor_stall", "nth_command = 3"), scene)


def test_a_stop_that_meets_the_fault_is_answered_and_not_obeyed() -> None:
    async def scene(host: Host) -> None:
        assert await host.ask(b"STP\r") == RUNS
        before = host.delivered_nl
        await asyncio.sleep(6.0)
        assert host.delivered_nl == pytest.approx(before + 1e5, abs=2)

    played(fault("stop_ignored", "nth_command = 1", 'command = "STP"'), scene)


@pytest.mark.parametrize("kind", ["power_loss", "disconnect"])
def test_a_command_that_finds_the_pump_gone_is_not_answered(kind: str) -> None:
    async def scene(host: Host) -> None:
        heard = len(host.heard)
        host.end.write(b"DIA10\r")
        await asyncio.sleep(1.0)
        assert len(host.heard) == heard
        assert standing(host) == [kind]

    played(fault(kind, "nth_command = 1", 'command = "DIA"'), scene)


def test_a_pump_that_loses_power_at_a_command_has_not_obeyed_it() -> None:
    async def scene(host: Host) -> None:
        await host.ask(b"STP\r")
        host.end.write(b"DIA10\r")
        await asyncio.sleep(1.0)
        host.served.clear("power_loss")
        await asyncio.sleep(0.1)
        await host.ask(b"\r")
        assert await host.ask(b"DIA\r") == b"\x0200S20.00\x03"

    played(fault("power_loss", "nth_command = 1", 'command = "DIA"'), scene)


def test_a_fault_may_last_for_so_many_commands() -> None:
    async def scene(host: Host) -> None:
        heard = len(host.heard)
        for _ in range(4):
            host.end.write(b"VER\r")
            await asyncio.sleep(1.0)
        assert len(host.heard) == heard + 2  # the first, and the fourth
        assert standing(host) == []

    played(fault("mute", "nth_command = 2", "for_commands = 2"), scene)


def test_chance_hits_some_commands_and_the_same_ones_with_the_same_seed() -> None:
    def hits(seed: int) -> int:
        found: list[int] = []

        async def scene(host: Host) -> None:
            for number in range(200):
                await host.ask(b"\r")
                if standing(host):
                    found.append(number)
                    return

        played(fault("motor_stall", "probability = 0.05"), scene, seed=seed)
        return found[0]

    first = [hits(seed) for seed in range(5)]
    assert first == [hits(seed) for seed in range(5)]
    assert len(set(first)) > 1


def test_the_cable_comes_back_and_so_does_a_line() -> None:
    async def scene(host: Host) -> None:
        await asyncio.sleep(2.0)
        heard = len(host.heard)
        host.end.write(b"\r")
        await asyncio.sleep(0.5)
        assert len(host.heard) == heard
        await asyncio.sleep(1.0)
        assert await host.ask(b"\r") == RUNS

    played(fault("half_open", "at_s = 1", "for_s = 2"), scene)


def test_a_snapshot_knows_how_far_the_script_was() -> None:
    async def scene(host: Host) -> None:
        await asyncio.sleep(12.0)
        kept = host.served.snapshot()
        await asyncio.sleep(100.0)
        assert standing(host) == []
        host.served.restore(kept)
        assert standing(host) == ["motor_stall"]
        await asyncio.sleep(2.9)
        assert standing(host) == ["motor_stall"]
        await asyncio.sleep(0.2)
        assert standing(host) == []

    played(STALL_10_TO_15, scene)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("in = 'infusing'",), "no such state"),
        (("when = {signal = 'spo2_pct', below = 90}",), "spo2_pct"),
    ],
)
def test_what_only_a_visit_could_trigger_is_refused(lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(ScriptError) as refused:
        parse_script(fault("mute", *lines), "file.toml", possible_for(device_kind("new-era")))
    assert "file.toml: fault 1" in str(refused.value)
    assert said in str(refused.value)
