"""What each message of a host does to a pumplink/1 pump, and what it is answered with.

Answerable for refusals, which name every reason with value and limit, and for the accepted values of a
RESULT.  Not answerable for frames, duplicates or time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from sim.devices.pumplink_motor import (
    DIAMETER_UM_MAX,
    DIAMETER_UM_MIN,
    FASTEST_NL_H,
    NS_PER_MS,
    Reason,
)
from sim.devices.pumplink_state import Doing, Limits, SelfTest
from sim.devices.pumplink_table import Alarm, Code, Ending, Value

if TYPE_CHECKING:
    from sim.devices.pumplink import PumplinkPump

Values = Mapping[str, int]
Said = dict[str, Value]


class Refusal(Exception):
    """Nothing was changed; ``code`` is that of the first reason."""

    def __init__(self, reasons: list[Reason]) -> None:
        self.code = reasons[0][0]
        super().__init__("; ".join(text for _, text in reasons))


def done(rate: int = 0, volume: int = 0) -> Said:
    """It has been obeyed, with these accepted values."""
    return _said(Ending.DONE, Code.OK, rate, volume)


def refused(code: Code, reason: str) -> Said:
    """It has not been obeyed."""
    return _said(Ending.REFUSED, code, reason=reason)


def underway(ending: Ending) -> Said:
    """More is to follow."""
    return _said(ending, Code.OK)


def _said(ending: Ending, code: Code, rate: int = 0, volume: int = 0, reason: str = "") -> Said:
    return {
        "ending": ending,
        "code": code,
        "rate_nl_h": rate,
        "volume_nl": volume,
        "reason": reason,
    }


def obey(pump: PumplinkPump, name: str, values: Values) -> Said:
    """What is said of the command first; raises `Refusal`."""
    return _COMMANDS[name](pump, values)


def _unless(*reasons: Iterator[Reason]) -> None:
    found = [reason for some in reasons for reason in some]
    if found:
        raise Refusal(found)


def _alarms(pump: PumplinkPump) -> Iterator[Reason]:
    present = pump.alarms.in_the_way()
    if present:
        names = ", ".join(str(alarm.name).lower() for alarm in Alarm if alarm in present)
        yield Code.ALARM_PRESENT, f"alarms not acknowledged, or still there: {names}"


def _latched(pump: PumplinkPump) -> Iterator[Reason]:
    if pump.state.lasting.latched:
        yield Code.WRONG_STATE, "the emergency-stop latch is set"


def _only(pump: PumplinkPump, doing: Doing) -> Iterator[Reason]:
    now = pump.state.memory.doing
    if now is not doing:
        yield Code.WRONG_STATE, f"the pump is {now.value}, not {doing.value}"


def _configure(pump: PumplinkPump, values: Values) -> Said:
    diameter, size = values["diameter_um"], values["syringe_size_nl"]

    def syringe() -> Iterator[Reason]:
        if not DIAMETER_UM_MIN <= diameter <= DIAMETER_UM_MAX:
            limits = f"{DIAMETER_UM_MIN}..{DIAMETER_UM_MAX} um"
            yield Code.BAD_ARGUMENT, f"diameter: {diameter} um, it is {limits}"
        if not size:
            yield Code.BAD_ARGUMENT, "syringe size: 0 nL"

    _unless(_latched(pump), pump.motor.why_not_standing(), syringe())
    pump.motor.configure(diameter, size)
    return done(FASTEST_NL_H, pump.quirks.volume_step_nl)


def _arm(pump: PumplinkPump, values: Values) -> Said:
    rate = values["rate_nl_h_max"]

    def caps() -> Iterator[Reason]:
        if rate > FASTEST_NL_H:
            yield Code.OVER_LIMIT, f"rate: {rate} nL/h is above the cap of {FASTEST_NL_H} nL/h"

    _unless(_latched(pump), pump.motor.why_not_standing(), caps())
    total = values["volume_total_nl_max"]
    time_ns = values["time_ms_max"] * NS_PER_MS
    pump.motor.arm(Limits(rate, values["volume_per_command_nl_max"], total, time_ns))
    return done(rate, total)


def _disarm(pump: PumplinkPump, _: Values) -> Said:
    pump.disarm()
    return done(volume=pump.motor.infused_nl)


def _start(
    pump: PumplinkPump, rate: int, volume: int, lease_ms: int, *, withdraw: bool = False
) -> Said:
    _unless(pump.motor.why_no_start(rate, volume, lease_ms), _alarms(pump))
    pump.motor.start(rate, volume, lease_ms, withdraw=withdraw)
    pump.sensors.motion_begins()
    return done(rate, pump.state.memory.delivery.target_nl)


def _bolus(pump: PumplinkPump, values: Values) -> Said:
    return _start(pump, values["rate_nl_h"], values["volume_nl"], values["lease_ms"])


def _run(pump: PumplinkPump, values: Values) -> Said:
    withdraw = bool(values["direction"])
    rate, target, lease = values["rate_nl_h"], values["target_nl"], values["lease_ms"]
    return _start(pump, rate, target, lease, withdraw=withdraw)


def _set_rate(pump: PumplinkPump, values: Values) -> Said:
    rate, motor = values["rate_nl_h"], pump.motor
    running = _only(pump, Doing.RUNNING)
    _unless(motor.why_not_armed(), running, motor.why_no_rate(rate), _alarms(pump))
    motor.set_rate(rate)
    return done(rate, pump.state.memory.delivery.target_nl)


def _pause(pump: PumplinkPump, _: Values) -> Said:
    _unless(_only(pump, Doing.RUNNING))
    pump.motor.pause()
    return done(volume=pump.motor.infused_nl)


def _resume(pump: PumplinkPump, _: Values) -> Said:
    _unless(pump.motor.why_not_armed(), _only(pump, Doing.PAUSED), _alarms(pump))
    pump.motor.resume()
    pump.sensors.motion_begins()
    delivery = pump.state.memory.delivery
    return done(delivery.rate_nl_h, delivery.target_nl)


def _stop(pump: PumplinkPump, _: Values) -> Said:
    pump.stop()
    return done(volume=pump.motor.infused_nl)


def _clear_counters(pump: PumplinkPump, _: Values) -> Said:
    _unless(pump.motor.why_not_standing())
    pump.motor.clear_counter()
    return done()


def _reset(pump: PumplinkPump, values: Values) -> Said:
    boot_id = values["boot_id"]

    def other() -> Iterator[Reason]:
        if boot_id != pump.boot_id:
            yield Code.BAD_ARGUMENT, f"boot id: {boot_id:08x}, it is {pump.boot_id:08x}"

    _unless(other())
    pump.unlatch()
    return done()


def _self_test(pump: PumplinkPump, values: Values) -> Said:
    motor, lease_ms = pump.motor, values["lease_ms"]
    standing = motor.why_not_standing()
    _unless(_latched(pump), standing, motor.why_no_lease(lease_ms), _alarms(pump))
    due = motor.own_ns + lease_ms * NS_PER_MS
    pump.state.memory.self_test = SelfTest(values["command_id"], due)
    return underway(Ending.IN_PROGRESS)


_COMMANDS: Mapping[str, Callable[[PumplinkPump, Values], Said]] = {
    "CONFIGURE": _configure,
    "BOLUS": _bolus,
    "RUN": _run,
    "SET_RATE": _set_rate,
    "PAUSE": _pause,
    "RESUME": _resume,
    "STOP": _stop,
    "CLEAR_COUNTERS": _clear_counters,
    "ARM": _arm,
    "DISARM": _disarm,
    "RESET": _reset,
    "SELF_TEST": _self_test,
}


# --- messages without a command id ----------------------------------------------------------------


def tell(pump: PumplinkPump, name: str, values: Values) -> None:
    """Answer a message that is no command."""
    match name:
        case "LEASE":
            if pump.state.memory.self_test is None:
                pump.motor.renew(values["lease_ms"])
            pump.tell_snapshot()
        case "ALARM_ACK":
            pump.alarms.acknowledge(Alarm(values["alarms"]))
            pump.tell_snapshot()
        case "SNAPSHOT_REQ":
            pump.tell_snapshot()
        case "SENSORS_REQ":
            uptime: Said = {"uptime_ms": pump.alarms.uptime_ms}
            pump.link.send("SENSORS", uptime | pump.sensors.values())
        case "TIMESYNC":
            clocks: Said = {"t_host_us": values["t_host_us"], "t_pump_us": pump.alarms.uptime_us}
            pump.link.send("TIMESYNC", clocks)
        case "COUNTERS":
            pump.link.send("COUNTERS", pump.link.counters())
