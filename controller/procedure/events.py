"""What a visit can be told: one frozen dataclass per kind of news, in the past tense.

The runner makes them and feeds them to `decide` one at a time, in the order they happened, each with
its own ``now`` (seconds, loop time).  After every trigger that moved the machine it feeds `Entered`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

from controller.procedure.table import State
from controller.procedure.visit import Recovered
from firmware_bridge.messages import Result, Snapshot


@dataclass(frozen=True, slots=True)
class Started:
    """The first event of a visit that begins at the beginning (otherwise `Interrupted`)."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The first event of a visit whose controller died: what the log says, what the pump says.

    ``pump`` is the first reading after the bridge's own STOP; None when the pump's counter cannot be
    trusted to belong to the last delivery (reset, unreadable).  ``same_pump`` is whether it is the one
    that passed the self-test; None where nothing says so.
    """

    recovered: Recovered
    pump: Snapshot | None = None
    same_pump: bool | None = None


@dataclass(frozen=True, slots=True)
class Entered:
    """The machine has just moved from ``previous`` into the state that is asked now."""

    previous: State


@dataclass(frozen=True, slots=True)
class Answered:
    """A person (or a script, or the simulated clinician) answered an open question.

    ``values`` are numbers in the unit their name carries; yes and no are 1 and 0.  ``token`` is that
    of the question answered: a confirmation counts only for the exact values it was asked about.
    """

    question_id: int
    choice: str
    values: Mapping[str, float] = field(default_factory=dict)
    by: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The time of a `StartTimer` of this name is over."""

    name: str


@dataclass(frozen=True, slots=True)
class VitalsArrived:
    """One sample of the monitor.

    ``sample`` holds only valid numbers, unit in the key (``spo2_pct``); what is missing from it has
    no valid value now.  ``seq`` counts samples: one that does not go up brings no news.
    """

    sample: Mapping[str, float]
    seq: int
    signs: Mapping[str, float | bool | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VitalsLost:
    """The connection to the monitor ended."""


@dataclass(frozen=True, slots=True)
class PumpReported:
    """The pump's own account of itself, through the bridge that started as ``boot_id``."""

    snapshot: Snapshot
    boot_id: int


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """The command with the id ``result.command_id`` (that of its effect) was answered.

    ``what`` names the effect: "Configure", "ArmGate", "DisarmGate", "StartBolus", "StartInfusion".
    A command whose answer was lost ends here too, as `Ending.UNCERTAIN`.
    """

    result: Result
    what: str


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The bridge, or the pump behind it, cannot be reached."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class LinkRestored:
    """Bridge and pump answer again; a ``boot_id`` not seen before needs a new self-test."""

    boot_id: int


@dataclass(frozen=True, slots=True)
class SelfTestEnded:
    """The self-test asked for by `RunSelfTest` is over; ``findings`` say what was seen, in words."""

    ok: bool
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogFailed:
    """A record could not be written to the session log."""

    why: str


@dataclass(frozen=True, slots=True)
class EmergencyStopRequested:
    """Somebody pressed stop.  The runner has latched and written STOP before this is decided."""

    by: str


@dataclass(frozen=True, slots=True)
class AlarmAcknowledged:
    """A person has seen an alarm; an empty id means all that stand.  It ends no condition."""

    by: str
    alarm_id: str = ""


@dataclass(frozen=True, slots=True)
class StopConfirmed:
    """The pump's own counters stand still."""


@dataclass(frozen=True, slots=True)
class StopUnconfirmed:
    """STOP was repeated and the pump never showed that it stands still."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """Something of ours broke: an internal error, or another pump than the one that was tested."""

    why: str


Event = (
    Started
    | Interrupted
    | Entered
    | Answered
    | TimerFired
    | VitalsArrived
    | VitalsLost
    | PumpReported
    | CommandEnded
    | LinkLost
    | LinkRestored
    | SelfTestEnded
    | LogFailed
    | AlarmAcknowledged
    | EmergencyStopRequested
    | StopConfirmed
    | StopUnconfirmed
    | Failed
)


_NOT_VITALS = frozenset({"seq", "t_s", "invalid", "signs", "model"})

SIGNS = frozenset(
    {
        "dissociation_pct",
        "pain_fall_cm",
        "anxious",
        "sedated",
        "rousable",
        "toxicity",
        "toxicity_stage",
    }
)
"""What may be seen at the bedside; a closed list, because it goes into records beside keys of ours."""

MODEL_MAX = 16
"""Concentrations taken of a line; the simulated patient has at most seven."""

NUMBER_MAX = 1e15
"""No vital sign and no concentration is as large, in any unit; what is, is no number to anybody."""

_MODEL_KEY = re.compile(r"[a-z_]{1,40}_ng_ml")


def vitals_arrived(raw: Mapping[str, object]) -> VitalsArrived:
    """The event for one line of the monitor, whatever is in it: what is no finite number is dropped.

    A value named in ``raw["invalid"]`` is dropped too, so that it reads as missing, never as 0.
    """
    named = raw.get("invalid")
    dropped = _NOT_VITALS
    if named and isinstance(named, list | tuple):
        dropped = dropped.union(name for name in named if isinstance(name, str))
    sample = {k: float(v) for k, v in raw.items() if k not in dropped and is_number(v)}
    seq = raw.get("seq")
    signs = raw.get("signs")
    known = signs if isinstance(signs, Mapping) else {}
    plain = {key: known[key] for key in known if key in SIGNS and _is_sign(known[key])}
    return VitalsArrived(sample, seq if isinstance(seq, int) else -1, plain)


def concentrations(raw: Mapping[str, object]) -> dict[str, float]:
    """What a line of a simulated monitor says of its model, for display: ng/mL, and nothing else."""
    model = raw.get("model")
    found = model.items() if isinstance(model, Mapping) else ()
    named = [(k, float(v)) for k, v in found if _is_concentration(k) and is_number(v)]
    return dict(named[:MODEL_MAX])


def _is_concentration(key: object) -> bool:
    return isinstance(key, str) and _MODEL_KEY.fullmatch(key) is not None


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value of a line is a finite number; a flag is none, hence the exact types."""
    return (type(value) is float or type(value) is int) and -NUMBER_MAX <= value <= NUMBER_MAX


_WORD = re.compile(r"[a-z_]{0,32}", re.ASCII)


def _is_sign(value: object) -> TypeGuard[float | bool | str]:
    word = isinstance(value, str) and _WORD.fullmatch(value) is not None
    return word or isinstance(value, bool) or is_number(value)
