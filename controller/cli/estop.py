"""Emergency stop, from anywhere: stops every bridge of this user, or that of one device.

--reset removes the latch that an emergency stop leaves behind, after a typed confirmation.  It starts
nothing; the next visit begins with its checks.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping

from controller.cli.outcome import DONE, ENDED_BADLY, Unreachable, Usage
from controller.plain_text import spelt_out
from firmware_bridge.errors import ConfigurationError

RESET_WORD = "reset"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", metavar="ID", help="only this device (default: every bridge)")
    parser.add_argument("--mqtt", metavar="URL", help="stop by way of this broker instead")
    parser.add_argument("--reset", action="store_true", help="remove the latch; starts nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(arguments: argparse.Namespace) -> int:
    if arguments.reset and arguments.mqtt:
        raise Usage("--reset --mqtt: a latch is removed where its bridge runs, not from afar")
    try:
        if arguments.reset:
            return _reset(arguments)
        if arguments.mqtt:
            from controller.cli.estop_mqtt import stop_over_mqtt  # noqa: PLC0415 - only when asked for

            return stop_over_mqtt(arguments)
        return _stop(arguments)
    except ConfigurationError as error:
        raise Usage(str(error)) from error


def _stop(arguments: argparse.Namespace) -> int:
    from firmware_bridge.estop import stop_all  # noqa: PLC0415 - quick start matters here

    outcomes = stop_all(arguments.device)
    if not outcomes:
        whose = f"of {arguments.device}" if arguments.device else "of this user"
        raise Unreachable(f"no bridge {whose} is running")
    confirmed = all(outcome.confirmed for outcome in outcomes)
    slowest = max((o.latency_ms for o in outcomes if o.latency_ms is not None), default=None)
    _say(arguments, {"confirmed": confirmed, "latency_ms": slowest, "devices": len(outcomes)})
    for outcome in outcomes:
        state = "stopped, confirmed by the pump" if outcome.confirmed else "STOP NOT CONFIRMED"
        line = f"{outcome.device}: {state}{outcome.error and f' ({outcome.error})'}"
        sys.stderr.write(f"{spelt_out(line)}\n")
    return DONE if confirmed else ENDED_BADLY


def _reset(arguments: argparse.Namespace) -> int:
    from firmware_bridge.estop import bridge_runs  # noqa: PLC0415 - as above
    from firmware_bridge.latch import FileLatch  # noqa: PLC0415
    from firmware_bridge.runtime import latch_path  # noqa: PLC0415

    if not arguments.device:
        raise Usage("--reset needs --device: a latch is removed one at a time")
    path = latch_path(arguments.device)
    if bridge_runs(arguments.device):
        sys.stderr.write(f"{arguments.device}: a bridge is running; end it first\n")
        _say_reset(arguments, reset=False, latched=FileLatch(path).is_set)
        return ENDED_BADLY
    latch = FileLatch(path)
    if not latch.is_set:
        _say_reset(arguments, reset=False, latched=False)
        sys.stderr.write(f"{arguments.device}: no latch\n")
        return DONE
    sys.stderr.write(f"{arguments.device} is latched: {spelt_out(latch.reason)}\n")
    sys.stderr.write(
        f"The pump is connected to nobody and may be used again? Type {RESET_WORD!r}: "
    )
    sys.stderr.flush()
    typed = sys.stdin.readline() if sys.stdin else ""  # None: the input was closed
    if typed.strip().lower() != RESET_WORD:
        sys.stderr.write("not reset\n")
        _say_reset(arguments, reset=False, latched=True)
        return ENDED_BADLY
    problem = latch.clear()
    if problem:
        sys.stderr.write(f"{problem}\n")
    _say_reset(arguments, reset=problem is None, latched=problem is not None)
    return ENDED_BADLY if problem else DONE


def _say_reset(arguments: argparse.Namespace, *, reset: bool, latched: bool) -> None:
    """A reset stops nothing, so no pump has confirmed anything."""
    result = {"reset": reset, "latched": latched, "confirmed": False, "latency_ms": None}
    _say(arguments, result)


def _say(arguments: argparse.Namespace, result: Mapping[str, object]) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps(result) + "\n")
