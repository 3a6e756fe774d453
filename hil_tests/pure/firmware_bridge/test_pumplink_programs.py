"""What the pumplink/1 dialect says to a pump, and what it makes of the answers."""

from __future__ import annotations

import pytest

from firmware_bridge.dialect import Syringe
from firmware_bridge.errors import (
    BeyondPump,
    LinkError,
    NoAnswer,
    ProtocolError,
    PumpInAlarm,
    PumpRefused,
    UncertainDelivery,
)
from firmware_bridge.messages import Code, Configure, Ending, Lease, PumpAlarm, PumpState, Run, Stop
from firmware_bridge.protocols.pumplink import FrameDecoder
from firmware_bridge.protocols.pumplink_dialect import Pumplink
from firmware_bridge.quantities import Duration, Rate, Volume
from hil_tests.pure.firmware_bridge.line_bench import LineBench
from hil_tests.pure.firmware_bridge.pumplink_double import PLAIN, Double

SYRINGE = Syringe(26_590, Volume.from_ml(60))
LEASE = Duration(3_000)
RATE, TARGET = Rate.from_ml_h(60), Volume.from_ml(1)


class Absent(Double):
    """Nobody is at the other end."""

    def feed(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        del data, now
        return []


def bench(pump: Double | None = None) -> tuple[LineBench, Pumplink, Double]:
    """A pump that was met and knows its syringe."""
    double = pump or Double()
    dialect = Pumplink(port="bench")
    line = LineBench(dialect, double)
    line.do(dialect.connect())
    line.do(dialect.configure(SYRINGE))
    double.heard.clear()
    return line, dialect, double


def said_since(line: LineBench, began: float) -> list[str]:
    """What the host has sent from then on, heard or not."""
    frames = b"".join(data for at, data in line.sent if at >= began)
    return [type(message).__name__ for _, message in FrameDecoder().feed(frames)]


def test_connecting_greets_stops_and_says_who_answers() -> None:
    double, dialect = Double(), Pumplink(port="bench")
    identity = LineBench(dialect, double).do(dialect.connect())
    assert double.names()[:3] == ["Hello", "Stop", "SnapshotRequest"]
    assert (identity.firmware, identity.serial_number) == ("double 1", "D-1")
    assert dialect.capabilities == PLAIN


def test_a_pump_of_another_page_is_named_as_one() -> None:
    dialect = Pumplink(port="bench")
    with pytest.raises(ProtocolError, match="another page"):
        LineBench(dialect, Double(schema_hash=1)).do(dialect.connect())


def test_nobody_there_says_what_to_check() -> None:
    dialect = Pumplink(port="bench")
    line = LineBench(dialect, Absent())
    with pytest.raises(NoAnswer, match="115200"):
        line.do(dialect.connect())
    hellos = [data for _, data in line.sent]
    assert len(hellos) == 4
    assert len({data.lstrip(b"\0") for data in hellos}) == 1


def test_a_start_opens_the_pumps_gate_for_exactly_its_volume() -> None:
    line, dialect, double = bench()
    accepted = line.do(dialect.start(RATE, TARGET, LEASE))
    assert (accepted.rate, accepted.volume) == (RATE, TARGET)
    arm, run = double.heard
    assert arm.volume_total_max == arm.volume_per_command_max == TARGET  # type: ignore[union-attr]
    assert run == Run(run.command_id, RATE, TARGET, LEASE)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (Code.OVER_LIMIT, BeyondPump),
        (Code.ALARM_PRESENT, PumpInAlarm),
        (Code.NOT_ARMED, PumpRefused),
        (Code.BAD_ARGUMENT, PumpRefused),
    ],
)
@pytest.mark.parametrize("order", ["Arm", "Run"])
def test_a_refusal_is_an_error_of_its_kind_with_the_pumps_reason(
    order: str, code: Code, error: type[PumpRefused]
) -> None:
    line, dialect, double = bench()
    double.answers[order] = (Ending.REFUSED, code, "because")
    with pytest.raises(error, match="because"):
        line.do(dialect.start(RATE, TARGET, LEASE))


def test_a_start_that_nobody_answers_is_uncertain_and_was_always_the_same() -> None:
    line, dialect, double = bench()
    double.answers["Run"] = None
    line.sent.clear()
    with pytest.raises(UncertainDelivery):
        line.do(dialect.start(RATE, TARGET, LEASE))
    runs = [
        (header.seq, message)
        for _, data in line.sent
        for header, message in FrameDecoder().feed(data)
        if isinstance(message, Run)
    ]
    assert len(runs) > 1
    assert len(set(runs)) == 1
    assert double.names().count("Run") == 1


def test_an_uncertain_answer_is_uncertain() -> None:
    line, dialect, double = bench()
    double.answers["Run"] = (Ending.UNCERTAIN, Code.NOT_CONFIRMED, "a bridge behind a bridge")
    with pytest.raises(UncertainDelivery):
        line.do(dialect.start(RATE, TARGET, LEASE))


def test_a_start_cut_off_by_a_stop_is_uncertain_and_never_said_again() -> None:
    line, dialect, double = bench()
    double.deaf = lambda command: isinstance(command, Run)
    error = line.cut(dialect.start(RATE, TARGET, LEASE), LinkError("bench", "stop"), b"\x12")
    assert isinstance(error, UncertainDelivery)
    double.deaf = lambda _: False
    line.do(dialect.stop())
    missed: list[object] = []

    def first_is_lost(command: object) -> bool:
        lost = isinstance(command, Configure) and not missed
        missed.extend([command] if lost else [])
        return lost

    double.deaf = first_is_lost  # so that whatever may be said again is said again
    began = line.now
    line.do(dialect.configure(SYRINGE))
    assert missed
    assert line.now - began < 1.5
    assert "Run" not in said_since(line, began)


def test_every_stop_frame_ends_what_was_cut_off_and_has_an_id_of_its_own() -> None:
    _, dialect, _ = bench()
    frames = [dialect.stop_frame() for _ in range(3)]
    stops = [FrameDecoder().feed(b"\x05cut" + frame)[-1][1] for frame in frames]
    assert all(isinstance(stop, Stop) for stop in stops)
    assert len({stop.command_id for stop in stops if isinstance(stop, Stop)}) == 3


def test_only_a_delivery_is_renewed_and_only_until_it_stands() -> None:
    line, dialect, double = bench()
    line.do(dialect.read())
    assert Lease(LEASE) not in double.heard
    line.do(dialect.start(RATE, TARGET, LEASE))
    double.state = PumpState.RUNNING
    line.do(dialect.read())
    assert double.heard[-1] == Lease(LEASE)
    double.state = PumpState.COMPLETED
    assert line.do(dialect.read()).state is PumpState.COMPLETED
    double.heard.clear()
    line.do(dialect.read())
    assert double.names() == ["SnapshotRequest"]


def test_a_lease_that_is_said_again_is_as_much_shorter_as_it_is_later() -> None:
    line, dialect, double = bench()
    line.do(dialect.start(RATE, TARGET, LEASE))
    double.state = PumpState.RUNNING
    missed: list[Lease] = []

    def first_is_lost(command: object) -> bool:
        if isinstance(command, Lease) and not missed:
            missed.append(command)
            return True
        return False

    double.deaf = first_is_lost
    began = line.now
    line.do(dialect.read())
    (again,) = [command for command in double.heard if isinstance(command, Lease)]
    sent_at = [at for at, data in line.sent if data[2] == 0x18][-1]
    assert again.lease.ms == LEASE.ms - round((sent_at - began) * 1_000)
    assert again.lease < LEASE


def test_alarms_are_told_once_acknowledged_at_the_pump_and_named() -> None:
    line, dialect, double = bench()
    line.says(double.alarm(PumpAlarm.OCCLUSION, line.now))
    line.wait(0.1)
    assert dialect.alarms_heard() == PumpAlarm.OCCLUSION
    assert [frame.text for frame in line.unsolicited] == ["ALARM_RAISED OCCLUSION"]
    reading = line.do(dialect.read())
    assert (reading.alarms, reading.words) == (PumpAlarm.OCCLUSION, "OCCLUSION")
    assert reading.pressure_pa == 1_234
    assert dialect.alarms_heard() == PumpAlarm.NONE
    assert line.do(dialect.read()).alarms == PumpAlarm.NONE


def test_a_pump_that_runs_on_is_never_called_stopped() -> None:
    line, dialect, double = bench()
    double.state = PumpState.RUNNING
    double.answers["Stop"] = (Ending.DONE, Code.OK, "")
    with pytest.raises(NoAnswer, match="RUNNING"):
        line.do(dialect.stop())


def test_a_stop_is_believed_only_by_two_readings_that_agree() -> None:
    line, dialect, double = bench()
    volumes = iter([5, 9, 9])
    told = double._snapshot

    def moving() -> object:
        double.infused = Volume(next(volumes))
        return told()

    double._snapshot = moving  # type: ignore[method-assign,assignment]
    assert line.do(dialect.stop()).infused == Volume(9)


def test_a_reset_is_told_by_its_boot_id_and_everything_is_configured_anew() -> None:
    line, dialect, double = bench()
    double.reboot()
    reading = line.do(dialect.stop())
    assert reading.alarms == PumpAlarm.RESET
    with pytest.raises(PumpRefused, match="no syringe"):
        line.do(dialect.start(RATE, TARGET, LEASE))
    assert line.do(dialect.stop()).alarms == PumpAlarm.NONE


def test_an_ended_delivery_is_left_as_it_is_by_a_pause() -> None:
    line, dialect, double = bench()
    double.state = PumpState.COMPLETED
    double.answers["Pause"] = (Ending.REFUSED, Code.WRONG_STATE, "completed")
    assert line.do(dialect.pause()).state is PumpState.COMPLETED


def test_a_self_test_that_shows_no_alarm_proves_nothing() -> None:
    line, dialect, _ = bench()
    with pytest.raises(PumpRefused, match="self-test"):
        line.do(dialect.prove_dead_man(LEASE))


def test_leaving_closes_the_pumps_gate() -> None:
    line, dialect, double = bench()
    assert line.do(dialect.restore()) == []
    assert double.names()[-1] == "Disarm"
    double.state = PumpState.RUNNING
    with pytest.raises(PumpRefused, match="not stopped"):
        line.do(dialect.restore())
