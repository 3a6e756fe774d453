"""Drive any pump by hand, through bridge and gate, in the foreground until done.

  infusor pump URL identify | status | stop | watch
  infusor pump URL infuse --rate-ml-h R --volume-ml V --diameter-mm D --syringe-ml S
  infusor pump URL bolus --volume-ml V --rate-ml-h R --diameter-mm D --syringe-ml S
  infusor pump URL restore

URL is DIALECT:PORT, or sim:DIALECT for a simulated pump that lives as long as the command.  Whatever is
asked, the bridge's first act is to stop the pump, and on leaving it puts back what it changed.  A
delivery has a volume target and is kept alive by this command once a second; Ctrl-C is an emergency
stop.  watch starts nothing: it shows what the pump says until Ctrl-C, and a pump that somebody starts at
its keypad meanwhile is stopped.  restore ends the safe mode that a session left behind which did not end
properly.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from decimal import Decimal

from controller.bench_pump import Order, motor_time
from controller.cli.numbers import number
from controller.cli.outcome import NotNow, Usage, seen_enough
from controller.syringe import unlikely
from firmware_bridge.caps import load_caps
from firmware_bridge.dialect import Syringe
from firmware_bridge.dialects import PumpUrl, parse_pump_url
from firmware_bridge.errors import ConfigurationError
from firmware_bridge.latch import FileLatch
from firmware_bridge.quantities import Rate, Volume
from firmware_bridge.runtime import checked_device, latch_path

ACTIONS = ("identify", "status", "infuse", "bolus", "stop", "watch", "restore")
DELIVERIES = ("infuse", "bolus")
WHEN_LATCHED = ("identify", "status", "stop", "watch")
"""What a standing latch allows: stops and questions."""

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="DIALECT:PORT[?baud=..&address=..], sim:DIALECT")
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("--device", default="bench-1", metavar="ID", help="default bench-1")
    parser.add_argument("--rate-ml-h", metavar="R", help="infuse, bolus: rate in mL/h")
    parser.add_argument("--volume-ml", metavar="V", help="infuse, bolus: volume target in mL")
    parser.add_argument(
        "--diameter-mm", metavar="D", help="infuse, bolus: inner diameter of the mounted syringe"
    )
    parser.add_argument("--syringe-ml", metavar="S", help="infuse, bolus: its nominal volume in mL")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--verbose", action="store_true", help="show the bridge's log on stderr")


def run(arguments: argparse.Namespace) -> int:
    try:
        spec = checked(arguments)
        latch = FileLatch(latch_path(spec.device))
        if latch.is_set and spec.action not in WHEN_LATCHED:
            raise NotNow(
                f"{spec.device} is latched ({latch.reason}); "
                f"infusor estop --device {spec.device} --reset clears it"
            )
        return _run(spec)
    except ConfigurationError as error:
        raise Usage(str(error)) from error


def _run(spec: PumpSpec) -> int:
    from controller.cli.pump_session import PumpSession  # noqa: PLC0415 - nothing of it for bad input

    async def session() -> int:
        return await PumpSession(spec).run()

    try:
        return asyncio.run(session())
    except BrokenPipeError:  # of the lines of `watch`
        return seen_enough()


# --- checking -----------------------------------------------------------------------------------------


def checked(arguments: argparse.Namespace) -> PumpSpec:
    """What was asked for.  Raises `Usage` or `ConfigurationError` before anything is started."""
    pump = parse_pump_url(arguments.url)
    device = checked_device(arguments.device)
    given = {
        option: getattr(arguments, option.strip("-").replace("-", "_")) for option in QUANTITIES
    }
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
