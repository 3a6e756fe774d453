"""Everything an Alaris pump knows, as plain data, and the closed list of its alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from sim.devices.breakage import Breakage
from sim.mechanics import MechanicsState

NO_ALARM = "AL_NOALM"

ALARMS: Mapping[str, bool] = MappingProxyType(
    {
        "AL_FAULT": True,  # internal fault
        "AL_EMBAT": True,  # battery empty
        "AL_DRDIS": True,  # drive disengaged: the plunger does not move
        "AL_SYRCO": True,  # syringe to be confirmed
        "AL_OCCLU": True,  # occlusion
        "AL_COMTO": False,  # communication time-out; whether it stops is quirk lease_lost
        "AL_EOIST": True,  # end of infusion, stopped
        "AL_VTBIS": True,  # VTBI complete, stopped
        "AL_EOIKV": False,  # end of infusion, KVO
        "AL_VTBIK": False,  # VTBI complete, KVO
        "AL_VTBIC": False,  # VTBI complete, continuing
        "AL_LBTAC": False,  # battery low, mains connected
        "AL_LWBAT": False,  # battery low
        "AL_NEOIN": False,  # near end of infusion
        "AL_ACDIS": False,  # mains disconnected
        "AL_RHIGH": False,  # rate high
        "AL_CALLB": False,  # unattended
        "AL_LDSCN": False,
        "AL_PRDSC": False,
        "AL_TCITG": False,
        "AL_TITCA": False,
        "AL_TITNC": False,
    }
)
"""code -> whether it stops the pump.  The codes were seen in drivers, their meaning is by name; the order
is the priority in which ``ALARM`` tells them [design]."""

Mode = Literal["HLD", "SET", "KVO"]
"""On hold, infusing at the set rate, keeping the vein open.  ``KVO`` is spelt by guess."""

EndAction = Literal["STOP", "KVO", "CONT"]


@dataclass(slots=True)
class Vtbi:
    """The volume to be infused; counted from ``from_parts`` of the commanded volume."""

    volume_nl: int
    end: EndAction
    from_parts: int
    spent: bool = False


@dataclass(slots=True)
class AlarisState:
    """The whole pump; copying this copies the pump."""

    mechanics: MechanicsState
    rate_nl_h: int = 0
    """The set rate; 0 where none was ever set."""
    vtbi: Vtbi | None = None
    mode: Mode = "HLD"
    latched: list[str] = field(default_factory=list)
    """Alarms that happened, until they are acknowledged."""
    standing: list[str] = field(default_factory=list)
    """Alarms whose cause is there, until it goes away."""
    infused_zero: int = 0
    """Commanded parts at which the volume counter was last zero."""
    leases_ns: dict[str, int] = field(default_factory=dict)
    """``REMOTE_CTRL`` and ``REMOTE_CFG``, while enabled -> when that ends."""
    near_end_due_ns: int | None = None
    near_end_told: bool = False
    log_entry: int = 127_904
    """Number of the latest log entry; where a recorded pump stood."""
    now_ns: int = 0
    leaves_ns: int = 0
    buffer: bytearray = field(default_factory=bytearray)
    faults: Breakage = field(default_factory=Breakage)
