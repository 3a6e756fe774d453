"""Looks whether infusor can work here: environment, ports, name clashes, broker self-test.

Looks and does not touch: no pump's port is opened, nothing is started but the broker that is tested.
Exit code 1 when a check found something, 3 when a port or broker that was named is out of reach.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterable

from controller.cli.outcome import DONE, ENDED_BADLY, UNREACHABLE, Usage
from controller.doctor_checks import (
    Check,
    Level,
    clock_check,
    installed_ms,
    installed_version,
    local_checks,
)
from controller.doctor_ports import port_checks
from controller.mqtt_url import FORMS, Embedded, MqttAddress, MqttUrlError, Off, parse_mqtt_url
from firmware_bridge.clock import wall_ms
from firmware_bridge.notice import NOTICE

MARKS = {Level.OK: "ok", Level.WARN: "warn", Level.FAIL: "FAIL"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        action="append",
        default=[],
        metavar="PORT",
        help="look at this serial port, not at all of them (may be repeated)",
    )
    parser.add_argument(
        "--mqtt", metavar="URL", help=f"test this broker: {FORMS} (default: embedded)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(arguments: argparse.Namespace) -> int:
    for port in arguments.port:
        if "://" in port:
            raise Usage(f"--port: {port!r} is not on this machine, and doctor opens no port")
    try:
        address = _address(arguments.mqtt)
    except MqttUrlError as error:
        raise Usage(str(error)) from error
    checks = [*local_checks(), *port_checks(arguments.port), *asyncio.run(_timed(address))]
    if arguments.json:
        sys.stdout.write(json.dumps({"checks": [check.as_json() for check in checks]}) + "\n")
    else:
        sys.stdout.write(as_text(checks))
    return exit_code(checks)


def exit_code(checks: Iterable[Check]) -> int:
    """3 for something named that is out of reach, else 1 for anything found, else 0."""
    found = list(checks)
    if any(check.unreachable for check in found):
        return UNREACHABLE
    return DONE if all(check.ok for check in found) else ENDED_BADLY


def as_text(checks: list[Check]) -> str:
    """One aligned line a check, and the sum of them."""
    width = max(len(check.name) for check in checks)
    rows = [f"{MARKS[check.level]:<4}  {check.name:<{width}}  {check.text}" for check in checks]
    failed = sum(not check.ok for check in checks)
    warned = sum(check.level is Level.WARN for check in checks)
    end = f"{len(checks)} checks: {failed or 'none'} failed, {warned or 'none'} to be aware of"
    return "\n".join((f"infusor doctor: {NOTICE}", *rows, end)) + "\n"


def _address(given: str | None) -> MqttAddress:
    """The broker to test: what was given, else what a visit would use."""
    if given is None:
        return Off() if installed_version("amqtt") is None else Embedded(0)
    return parse_mqtt_url(given, os.environ)


async def _timed(address: MqttAddress) -> list[Check]:
    """The broker's checks, and the clocks' while they took their time."""
    loop = asyncio.get_running_loop()
    before_ms, start_s = wall_ms(loop), loop.time()
    if isinstance(address, Off):
        checks = [Check("broker", Level.OK, "not tested: no telemetry without a broker (off)")]
    else:
        from controller.doctor_broker import broker_checks  # noqa: PLC0415 - MQTT, only when tested

        checks = await broker_checks(address)
    wall = (before_ms, wall_ms(loop))
    passed_s = loop.time() - start_s
    return [*checks, clock_check(wall_ms=wall, loop_s=passed_s, installed_ms=installed_ms())]
