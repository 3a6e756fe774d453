"""One visit in real or scaled time: controller, bridge process, pump, patient, dashboards.

Without options everything is simulated: a New Era pump on a pseudo-terminal with a patient behind it.
With --pump DIALECT:PORT a pump on the bench is driven, connected to nobody.  Ctrl-C once is an
emergency stop, twice leaves at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from controller.cli.declared import add_declaration, declaration
from controller.cli.live import Ended, LiveVisit
from controller.cli.live_parts import LiveSpec, stretched, unhurried
from controller.cli.options import add_previous, check_abilities, existing_plan, make_operator
from controller.cli.outcome import DONE, ENDED_BADLY, Usage
from controller.cli.prompt import PromptOperator
from controller.cli.report_file import report_beside
from controller.mqtt_url import MqttAddress, MqttUrlError, parse_mqtt_url
from controller.plain_text import spelt_out
from controller.runner import Operator
from controller.vitals_replay import Recording, RecordingError, read_recording
from firmware_bridge.clock import WALL_FLOOR_S, new_loop
from firmware_bridge.dialects import PumpUrl, parse_pump_url
from firmware_bridge.errors import ConfigurationError
from firmware_bridge.latch import FileLatch
from firmware_bridge.notice import NOTICE
from firmware_bridge.runtime import checked_device, latch_path
from firmware_bridge.transports.opening import is_hardware

LEASE_S_MAX = 65.5
"""A lease travels as 16 bits of milliseconds, and may not be shorter than 250 ms of wall time."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "procedure", help="a shipped procedure, or a file (with a separator or .toml)"
    )
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that `demo` shares."""
    parser.add_argument("--pump", default="sim:new-era", metavar="URL", help="default sim:new-era")
    parser.add_argument("--device", default="bench-1", metavar="ID", help="default bench-1")
    add_declaration(parser)
    parser.add_argument(
        "--operator",
        default=None,
        metavar="prompt|auto|FILE",
        help="who answers (default: auto for a simulated pump, prompt for one on a hardware port)",
    )
    add_previous(parser)
    parser.add_argument("--vitals", default="sim", metavar="sim|replay:FILE.csv")
    parser.add_argument(
        "--mqtt",
        default=None,
        metavar="URL|embedded[:PORT]|off",
        help="default: embedded where the extra 'demo' is installed, otherwise off",
    )
    parser.add_argument("--page", default="off", metavar="off", help="not part of this version")
    parser.add_argument("--speed", type=float, default=1.0, metavar="K", help="default 1")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")
    parser.add_argument("--log-dir", type=Path, default=Path("visits"), metavar="DIR")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(arguments: argparse.Namespace) -> int:
    return visit(arguments)[0]


def visit(arguments: argparse.Namespace) -> tuple[int, Path | None]:
    """The exit code of a visit, and its log; None where none was begun."""
    spec = checked(arguments)
    latch = FileLatch(latch_path(spec.device))
    if latch.is_set:
        sys.stderr.write(
            f"infusor run: {spec.device} is latched ({spelt_out(latch.reason)}); "
            f"infusor estop --device {spec.device} --reset clears it\n"
        )
        return ENDED_BADLY, None
    ended = _live(spec)
    report = report_beside(ended.log)
    _tell(arguments, ended, report)
    return DONE if ended.report.good else ENDED_BADLY, ended.log


def _live(spec: LiveSpec) -> Ended:
    async def visit() -> Ended:
        return await LiveVisit(spec).run()

    with asyncio.Runner(loop_factory=lambda: new_loop(spec.speed)) as runner:
        return runner.run(visit())


# --- checking ---------------------------------------------------------------------------------------


def checked(arguments: argparse.Namespace) -> LiveSpec:
    """Everything that was asked for, or `Usage` before anything is started."""
    if arguments.page != "off":
        raise Usage(f"--page {arguments.page}: the live page is not part of this version")
    plan = existing_plan(arguments.procedure, arguments.previous)
    try:
        device, pump = checked_device(arguments.device), parse_pump_url(arguments.pump)
    except ConfigurationError as error:
        raise Usage(str(error)) from error
    declared = declaration(arguments)
    check_abilities(pump, arguments.pump, declared)
    if arguments.seed < 0:
        raise Usage(f"--seed {arguments.seed}: must be 0 or more")
    _check_speed(arguments.speed, pump)
    mqtt, mqtt_warnings = _mqtt(arguments.mqtt)
    choice = arguments.operator or ("prompt" if _is_hardware(pump) else "auto")
    operator = _operator(choice, arguments.seed)
    typed = isinstance(operator, PromptOperator)
    warnings = (*stretched(arguments.speed, typed=typed), *mqtt_warnings)
    if arguments.speed != 1 and not pump.simulated:
        warnings += ("nothing on the wire proves that the pump runs at the same speed",)
    return LiveSpec(
        plan=unhurried(plan, arguments.speed) if typed else plan,
        device=device,
        pump=arguments.pump,
        simulated_pump=pump.simulated,
        operator=operator,
        replay=_vitals(arguments.vitals),
        mqtt=mqtt,
        speed=arguments.speed,
        seed=arguments.seed,
        log_dir=arguments.log_dir,
        warnings=warnings,
        declared=declared,
    )


def _check_speed(speed: float, pump: PumpUrl) -> None:
    highest = LEASE_S_MAX / WALL_FLOOR_S
    if not math.isfinite(speed) or not 0.1 <= speed <= highest:
        raise Usage(f"--speed {speed:g}: must be from 0.1 to {highest:g}")
    if speed != 1 and _is_hardware(pump):
        raise Usage(f"--speed {speed:g}: {pump.port} is hardware, which only runs at 1")


def _is_hardware(pump: PumpUrl) -> bool:
    """Whether a motor may turn: then nobody but a person at the terminal answers unless told so."""
    return not pump.simulated and is_hardware(pump.port)


def _operator(choice: str, seed: int) -> Operator:
    import random  # noqa: PLC0415 - one seeded stream for the people of this run

    if choice == "prompt":
        if sys.stdin is None or sys.stdin.closed:
            raise Usage("--operator prompt: there is no input to read answers from")
        return PromptOperator()
    return make_operator(choice)(random.Random(f"{seed}:people").random)  # noqa: S311 - no secret


def _vitals(choice: str) -> Recording | None:
    if choice == "sim":
        return None
    kind, _, path = choice.partition(":")
    if kind != "replay" or not path:
        raise Usage(f"--vitals {choice}: must be sim or replay:FILE.csv")
    try:
        return read_recording(Path(path))
    except RecordingError as error:
        raise Usage(f"--vitals {error}") from error


def _mqtt(choice: str | None) -> tuple[MqttAddress, tuple[str, ...]]:
    has_broker = find_spec("amqtt") is not None
    warnings: tuple[str, ...] = ()
    if choice is None and not has_broker:
        warnings = ("no embedded broker (install infusor[demo]): --mqtt off",)
    text = choice or ("embedded" if has_broker else "off")
    if text.startswith("embedded") and not has_broker:
        raise Usage(f"--mqtt {text}: the embedded broker needs infusor[demo]")
    try:
        return parse_mqtt_url(text, os.environ), warnings
    except MqttUrlError as error:
        raise Usage(str(error)) from error


# --- afterwards -------------------------------------------------------------------------------------


def _tell(arguments: argparse.Namespace, ended: Ended, page: Path | None) -> None:
    report = ended.report
    if arguments.json:
        result = report.as_json() | {
            "log": str(ended.log),
            "report": str(page) if page else None,
        }
        sys.stdout.write(json.dumps(result) + "\n")
        return
    stop = {None: "", True: " (stop confirmed by the pump)", False: " (STOP NOT CONFIRMED)"}
    sys.stdout.write(
        f"\n{report.outcome}{stop[report.stop_confirmed]}: {report.drug}, response "
        f"{report.response or 'none'}\n"
        f"  required dose  {report.required_dose_mg:8.3f} mg\n"
        f"  infusion dose  {report.infusion_dose_mg:8.3f} mg\n"
        f"  delivered      {report.delivered_mg:8.3f} mg in {report.delivered_ml:.3f} mL\n"
        f"  duration       {report.duration_s / 60:8.1f} min\n"
        f"  alarms         {', '.join(report.alarms) or 'none'}\n"
        f"  log            {ended.log}\n"
        f"  report         {page or 'none'}\n"
        f"{NOTICE}\n"
    )
    for warning in report.warnings:
        sys.stderr.write(f"{spelt_out(warning)}\n")
