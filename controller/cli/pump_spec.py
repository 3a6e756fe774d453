"""What `infusor pump` was asked to do, every number checked before anything is started."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from controller.bench_pump import Order, motor_time
from controller.cli.declared import declaration
from controller.cli.numbers import number
from controller.cli.outcome import Usage
from controller.syringe import unlikely
from firmware_bridge.caps import load_caps
from firmware_bridge.declaration import undeclared
from firmware_bridge.dialect import Syringe
from firmware_bridge.dialects import PumpUrl, dialect_kind, parse_pump_url
from firmware_bridge.quantities import Rate, Volume
from firmware_bridge.runtime import checked_device

DELIVERIES = ("infuse", "bolus")
QUANTITIES = ("--rate-ml-h", "--volume-ml", "--diameter-mm", "--syringe-ml")


@dataclass(frozen=True, slots=True)
class PumpSpec:
    """What was asked for, everything checked."""

    action: str
    url: str
    pump: PumpUrl
    device: str
    order: Order | None
    json: bool
    verbose: bool
    declared: str = ""
    """Who has said that a clinical pump is connected to nobody."""
    answered: Mapping[str, object] | None = None
    """For ``auto:PORT``: who was found there, and at which setting of the line."""


def checked(arguments: argparse.Namespace) -> PumpSpec:
    """What was asked for.  Raises `Usage` or `ConfigurationError` before anything is started."""
    pump = parse_pump_url(arguments.url)
    device = checked_device(arguments.device)
    given = {
        option: getattr(arguments, option.strip("-").replace("-", "_")) for option in QUANTITIES
    }
    declared = declaration(arguments)
    problem = undeclared(dialect_kind(pump.dialect).capabilities, declared)
    if problem and arguments.action != "stop" and not pump.simulated:
        raise Usage(f"{arguments.url}: {problem}")
    delivers = arguments.action in DELIVERIES
    if not delivers and any(given.values()):
        option = next(option for option, text in given.items() if text)
        raise Usage(f"{option} {given[option]}: goes with {' and '.join(DELIVERIES)} only")
    return PumpSpec(
        action=arguments.action,
        url=arguments.url,
        pump=pump,
        device=device,
        order=_order(given, as_bolus=arguments.action == "bolus") if delivers else None,
        json=arguments.json,
        verbose=arguments.verbose,
        declared=declared,
    )


def _order(given: dict[str, str | None], *, as_bolus: bool) -> Order:
    """The delivery, within the syringe and the bridge's caps."""
    missing = [option for option, text in given.items() if text is None]
    if missing:
        raise Usage(f"{', '.join(missing)}: must be given; nothing about a syringe is assumed")
    rate = Rate.from_ml_h(_number(given, "--rate-ml-h", 6))
    volume = Volume.from_ml(_number(given, "--volume-ml", 6))
    diameter_um = int(_number(given, "--diameter-mm", 3) * 1_000)
    size = Volume.from_ml(_number(given, "--syringe-ml", 3))
    _check_barrel(diameter_um, size, given)
    if volume > size:
        raise Usage(f"--volume-ml {given['--volume-ml']}: is above the syringe's {size}")
    order = Order(rate, volume, Syringe(diameter_um, size), as_bolus=as_bolus)
    _check_caps(order, given)
    return order


def _number(given: dict[str, str | None], option: str, decimals: int) -> Decimal:
    return number(option, given[option] or "", decimals=decimals)


def _check_barrel(diameter_um: int, size: Volume, given: dict[str, str | None]) -> None:
    wrong = unlikely(diameter_um, size)
    if wrong:
        raise Usage(
            f"--diameter-mm {given['--diameter-mm']}, --syringe-ml {given['--syringe-ml']}: {wrong}"
        )


def _check_caps(order: Order, given: dict[str, str | None]) -> None:
    caps = load_caps()
    if order.rate > caps.rate_max:
        raise Usage(f"--rate-ml-h {given['--rate-ml-h']}: is above the cap of {caps.rate_max}")
    if order.volume > caps.volume_per_command_max:
        raise Usage(
            f"--volume-ml {given['--volume-ml']}: is above the cap of {caps.volume_per_command_max}"
        )
    if motor_time(order) > caps.time_max:
        raise Usage(
            f"--volume-ml {given['--volume-ml']} at --rate-ml-h {given['--rate-ml-h']}: takes "
            f"{motor_time(order)} of motor time, above the cap of {caps.time_max}"
        )
