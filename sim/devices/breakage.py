"""How simulated pumps are broken and mended, whatever they speak.

Answerable for what each kind of `sim.faults.kinds` does to a pump; a dialect may add ways of its own.
What a broken pump does then is physics (`sim.mechanics`) or protocol (the device).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from sim.devices.base import Reply
from sim.faults.kinds import accept, find
from sim.faults.parameters import FaultError, FaultValue
from sim.mechanics import PARTS_PER_NL, Mechanics

NL_PER_ML = 1_000_000


@dataclass(slots=True)
class Breakage:
    """What is broken on purpose; part of a device's state.

    ``drop_from_pump``, ``drop_to_pump``: how many frames are still to be lost.  ``delay_s``: how long
    every answer is held back.
    """

    powered: bool = True
    mute: bool = False
    stop_ignored: bool = False
    delay_s: float = 0.0
    drop_from_pump: int = 0
    drop_to_pump: int = 0
    refuse: int = 0
    """How many commands are still to be refused."""
    pretend: int = 0
    """How many are still to be answered as if they had been obeyed."""
    counter_ppm: int = 0
    """By how much the counter of delivered volume is off."""
    rollover_parts: int = 0
    """Where that counter begins again from nothing; 0: nowhere."""
    late: int = 0
    """How many answers are still to come ``late_s`` after they should."""
    late_s: float = 0.0
    unasked: int = 0
    """How many answers are still to have something in front that nobody asked for."""
    second: int = 0
    """How many are still to come from another pump as well."""
    confused: int = 0
    """How many are still to have the ``form`` of address."""
    form: str = ""
    touched: bool = False
    """The host is not heard until it has sent the end of a line."""
    keys_stuck: bool = False
    power_told: frozenset[str] = frozenset()
    """What the pump tells of its supply now."""
    drained: bool = False
    """It is off because its battery is empty."""
    there: set[str] = field(default_factory=set)
    """The kinds that were done and not undone."""

    def counted(self, parts: int) -> int:
        """What the counter shows of a volume that it should show."""
        if self.counter_ppm:
            parts = parts * (1_000_000 + self.counter_ppm) // 1_000_000
        return parts % self.rollover_parts if self.rollover_parts else parts

    def held_s(self) -> float:
        """How long the answer that leaves now is held back."""
        if not self.late:
            return self.delay_s
        self.late -= 1
        return self.delay_s + self.late_s

    def addresses(self, own: str) -> tuple[str, ...]:
        """What stands in front of the answer that leaves now, and of one from another pump before it."""
        if not (self.confused or self.second):
            return (own,)
        digits = own or "00"
        another = str((int(digits) + 1) % 10 ** len(digits)).zfill(len(digits))
        if self.confused:
            self.confused -= 1
            own = {"missing": "", "doubled": digits + digits}.get(self.form, another)
        if self.second:
            self.second -= 1
            return another, own
        return (own,)


class Breakable(Protocol):
    """What a pump offers to be broken by."""

    @property
    def mechanics(self) -> Mechanics:
        """Motor, syringe and line."""

    @property
    def faults(self) -> Breakage:
        """What is broken now."""

    def power_off(self) -> None:
        """The motor stops, nothing is heard and nothing is said."""

    def power_on(self) -> list[Reply]:
        """The pump boots, if it was off; returns what it says by itself."""


T = TypeVar("T")
P_contra = TypeVar("P_contra", bound=Breakable, contravariant=True)


@dataclass(frozen=True, slots=True)
class Way(Generic[P_contra]):
    """How one kind is done to a pump, and undone; ``clear=None``: it is over when it has happened."""

    inject: Callable[[P_contra, Mapping[str, FaultValue]], list[Reply]]
    clear: Callable[[P_contra], list[Reply]] | None


def inject(
    ways: Mapping[str, Way[P_contra]],
    pump: P_contra,
    kind: str,
    parameters: Mapping[str, FaultValue],
) -> list[Reply]:
    """Break it; raises `FaultError` for a kind or parameter that this pump does not have."""
    accepted = accept(kind, parameters)
    way = _way(ways, kind)
    replies = way.inject(pump, accepted)
    if way.clear is not None:
        pump.faults.there.add(kind)
    return replies


def clear(ways: Mapping[str, Way[P_contra]], pump: P_contra, kind: str | None) -> list[Reply]:
    """Mend it, or all that is there for ``None``; raises `FaultError` for a kind this pump has not."""
    chosen = {kind: _way(ways, kind)} if kind is not None else ways
    replies: list[Reply] = []
    for name, way in chosen.items():
        if way.clear is not None and (kind is not None or name in pump.faults.there):
            replies += way.clear(pump)
            pump.faults.there.discard(name)
    return replies


class Whole(Protocol):
    """A pump that can be put back."""

    def snapshot(self) -> Any: ...  # noqa: ANN401  # each pump has a state of its own

    def restore(self, state: Any) -> None: ...  # noqa: ANN401


def in_vain(pump: Whole, obey: Callable[[], T]) -> T:
    """What the pump answers when it obeys; and yet nothing is done."""
    before = pump.snapshot()
    try:
        return obey()
    finally:
        pump.restore(before)


def _way(ways: Mapping[str, Way[P_contra]], kind: str) -> Way[P_contra]:
    if kind not in ways:
        find(kind)  # what exists nowhere is told apart from what this pump cannot do
        from sim.faults.support import who_can  # noqa: PLC0415  # dialects are loaded to answer

        raise FaultError(
            f"fault {kind} cannot be done to this pump, {who_can(kind)}; it has {', '.join(ways)}"
        )
    return ways[kind]


def _quietly(action: Callable[[Breakable], object]) -> Callable[[Breakable], list[Reply]]:
    def done(pump: Breakable) -> list[Reply]:
        action(pump)
        return []

    return done


def _setting(name: str) -> Way[Breakable]:
    """A flag of `Breakage` that is up while the fault is there."""

    def up(pump: Breakable, _: Mapping[str, FaultValue]) -> list[Reply]:
        setattr(pump.faults, name, True)
        return []

    return Way(up, _quietly(lambda pump: setattr(pump.faults, name, False)))


def _plainly(
    action: Callable[[Breakable], object], undo: Callable[[Breakable], object]
) -> Way[Breakable]:
    quiet = _quietly(action)
    return Way(lambda pump, _: quiet(pump), _quietly(undo))


def _off(pump: Breakable, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.power_off()
    return []


def _reboot(pump: Breakable, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.power_off()
    return pump.power_on()


def _delay(pump: Breakable, parameters: Mapping[str, FaultValue]) -> list[Reply]:
    pump.faults.delay_s = float(parameters["delay_ms"]) / 1_000
    return []


def _prompt(pump: Breakable) -> list[Reply]:
    pump.faults.delay_s = 0.0
    return []


def _drop(pump: Breakable, parameters: Mapping[str, FaultValue]) -> list[Reply]:
    count = int(parameters["for_commands"])
    if parameters["direction"] == "from_pump":
        pump.faults.drop_from_pump = count
    else:
        pump.faults.drop_to_pump = count
    return []


def _carry(pump: Breakable) -> list[Reply]:
    pump.faults.drop_from_pump = pump.faults.drop_to_pump = 0
    return []


Mechanical = Callable[[Mechanics, float], object]


def _by(parameter: str, action: Mechanical, undone: float, scale: float = 1.0) -> Way[Breakable]:
    """What takes one number, and is undone by another."""

    def do(pump: Breakable, parameters: Mapping[str, FaultValue]) -> list[Reply]:
        action(pump.mechanics, float(parameters[parameter]) * scale)
        return []

    return Way(do, _quietly(lambda pump: action(pump.mechanics, undone)))


def _wrong_syringe(pump: Breakable, parameters: Mapping[str, FaultValue]) -> list[Reply]:
    pump.mechanics.wrong_syringe(round(float(parameters["diameter_mm"]) * 1_000))
    return []


def _bubble(pump: Breakable, parameters: Mapping[str, FaultValue]) -> list[Reply]:
    pump.mechanics.bubble(round(float(parameters["volume_ul"]) * 1_000))
    return []


def _left(pump: Breakable, parameters: Mapping[str, FaultValue]) -> list[Reply]:
    state = pump.mechanics.state
    minutes = min(float(parameters["remaining_min"]), state.housing.battery.full_min)
    state.housing.battery.set_left(state.now_ns, minutes)
    return []


def _mains(pump: Breakable, *, on: bool) -> None:
    pump.mechanics.housing.battery.mains(pump.mechanics.state.now_ns, on=on)


def _door(pump: Breakable, *, opened: bool) -> None:
    pump.mechanics.housing.door_open = opened


def counted(field: str) -> Way[Breakable]:
    """So many commands fare differently; a dialect says how."""

    def do(pump: Breakable, parameters: Mapping[str, FaultValue]) -> list[Reply]:
        setattr(pump.faults, field, int(parameters["for_commands"]))
        return []

    return Way(do, _quietly(lambda pump: setattr(pump.faults, field, 0)))


def _miscount(pump: Breakable, parameters: Mapping[str, FaultValue]) -> list[Reply]:
    pump.faults.counter_ppm = round(float(parameters["error_pct"]) * 10_000)
    return []


def _count(pump: Breakable) -> list[Reply]:
    pump.faults.counter_ppm = 0
    return []


def _roll_over(pump: Breakable, parameters: Mapping[str, FaultValue]) -> list[Reply]:
    pump.faults.rollover_parts = round(float(parameters["at_ml"]) * NL_PER_ML) * PARTS_PER_NL
    return []


def _nearly_empty(pump: Breakable, parameters: Mapping[str, FaultValue]) -> list[Reply]:
    pump.mechanics.leave(round(float(parameters["left_ml"]) * NL_PER_ML))
    return []


SENSOR_WAYS: Mapping[str, Way[Breakable]] = {
    "force_sensor_drift": _by(
        "mmhg_per_min", lambda m, rate: m.sensor_error(drift_mmhg_min=rate), 0.0
    ),
    "force_sensor_offset": _by(
        "offset_mmhg", lambda m, offset: m.sensor_error(offset_mmhg=offset), 0.0
    ),
    "air_alarm_missed": _plainly(
        lambda pump: pump.mechanics.blind_air_detector(blind=True),
        lambda pump: pump.mechanics.blind_air_detector(blind=False),
    ),
    "door_open": _plainly(
        lambda pump: _door(pump, opened=True), lambda pump: _door(pump, opened=False)
    ),
    "mains_loss": _plainly(lambda pump: _mains(pump, on=False), lambda pump: _mains(pump, on=True)),
    "battery_left": Way(_left, None),
}
"""What can be done to a pump that has the sensors to notice, or the battery to live on."""

MISCOUNT: Way[Breakable] = Way(_miscount, _count)
"""For a dialect whose counter is read through `Breakage.counted`."""

ROLLOVER: Way[Breakable] = Way(_roll_over, _quietly(lambda pump: _roll_over(pump, {"at_ml": 0})))
"""The same."""

COMMON_WAYS: Mapping[str, Way[Breakable]] = {
    "downstream_occlusion": _plainly(
        lambda pump: pump.mechanics.occlude(), lambda pump: pump.mechanics.clear_occlusion()
    ),
    "empty": _plainly(lambda pump: pump.mechanics.run_dry(), lambda pump: pump.mechanics.refill()),
    "motor_stall": _plainly(
        lambda pump: pump.mechanics.block(blocked=True),
        lambda pump: pump.mechanics.block(blocked=False),
    ),
    "upstream_occlusion": _plainly(
        lambda pump: pump.mechanics.occlude_upstream(occluded=True),
        lambda pump: pump.mechanics.occlude_upstream(occluded=False),
    ),
    "clamp_shut": _plainly(
        lambda pump: pump.mechanics.clamp(shut=True), lambda pump: pump.mechanics.clamp(shut=False)
    ),
    "lost_steps": _by("loss_pct", lambda m, pct: m.lose_steps(pct), 0.0),
    "backlash": _by("backlash_um", lambda m, um: m.wear(um), 0.0),
    "free_flow": _by("rate_ml_h", lambda m, nl_h: m.free_flow(round(nl_h)), 0.0, 1e6),
    "siphon": _by("height_cm", lambda m, cm: m.siphon(cm), 0.0),
    "height_change": _by("height_cm", lambda m, cm: m.raise_pump(cm), 0.0),
    "wrong_syringe": Way(_wrong_syringe, _quietly(lambda pump: pump.mechanics.wrong_syringe(None))),
    "air_bubble": Way(_bubble, _quietly(lambda pump: pump.mechanics.remove_air())),
    "near_end": Way(_nearly_empty, _quietly(lambda pump: pump.mechanics.refill())),
    "brown_out": Way(lambda pump, _: _quietly(lambda pump: pump.mechanics.stop())(pump), None),
    "power_loss": Way(_off, lambda pump: pump.power_on()),
    "reboot": Way(_reboot, None),
    "mute": _setting("mute"),
    "reply_delay": Way(_delay, _prompt),
    "frame_drop": Way(_drop, _carry),
    "reply_lost_after_action": counted("drop_from_pump"),
    "stop_ignored": _setting("stop_ignored"),
}
"""What can be done to any pump."""
