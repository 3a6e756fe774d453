"""A simulated pump on a pseudo-terminal or a TCP port, for anybody's software.

Prints one line when ready, {"ready": true, "port": "..."}, and runs until SIGTERM or Ctrl-C.  The port
can be pasted into pyserial's serial_for_url, or after a dialect into a pump URL.  It listens on this
machine only, unless --tcp names another address.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from firmware_bridge.clock import SPEED_MAX, SPEED_MIN, new_loop
from firmware_bridge.errors import ConfigurationError, LinkError
from firmware_bridge.notice import NOTICE
from sim.devices.new_era import MODELS, NewEraPump
from sim.devices.new_era_quirks import QuirkError, Quirks, quirk_values
from sim.devices.syringes import SyringeError, mount
from sim.mechanics import Mount
from sim.serve import LOOPBACK, Served, serve_pty, serve_tcp

PROG = "infusor sim pump"
DONE, BAD_USAGE, UNREACHABLE = 0, 2, 3

DIALECTS = ("new-era",)
ADDRESS_MAX = 99
TCP_PORT_MAX = 65_535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command; values stay text here, so that every complaint is ours."""
    quirks = "; ".join(f"{name}: {', '.join(values)}" for name, values in quirk_values().items())
    parser.add_argument(
        "--dialect", required=True, metavar="D", help=f"one of {', '.join(DIALECTS)}"
    )
    parser.add_argument(
        "--model",
        default="ne-1000",
        metavar="M",
        help=f"one of {', '.join(MODELS)}; names itself so",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--pty", metavar="LINK", help="pseudo-terminal under this symbolic link (default: no link)"
    )
    where.add_argument("--tcp", metavar="HOST:PORT", help="TCP port; port 0 takes a free one")
    where.add_argument("--rfc2217", metavar="HOST:PORT", help="not part of this version")
    parser.add_argument(
        "--syringe",
        metavar="NAME",
        help="such as bd-10, which is then full; default: one that fits any DIA and has no ends",
    )
    parser.add_argument(
        "--address", default="0", metavar="N", help="network address, 0-99 (default 0)"
    )
    parser.add_argument(
        "--speed",
        default="1",
        metavar="K",
        help="seconds of the pump in one of the wall's (default 1)",
    )
    parser.add_argument(
        "--seed", default="0", metavar="N", help="for random faults; the pump itself draws nothing"
    )
    parser.add_argument(
        "--quirk",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"{quirks} (first: default)",
    )
    parser.add_argument("--faults", metavar="FILE", help="not part of this version")
    parser.add_argument("--control", metavar="PATH|HOST:PORT", help="not part of this version")


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to end.  Exit codes: 0, 2 for bad input, 3 for a port that cannot be had."""
    try:
        return _run(arguments)
    except (ConfigurationError, QuirkError, SyringeError) as problem:
        sys.stderr.write(f"{PROG}: {problem}\n")
        return BAD_USAGE
    except LinkError as problem:
        sys.stderr.write(f"{PROG}: {problem}\n")
        return UNREACHABLE


def _run(arguments: argparse.Namespace) -> int:
    """Raises what the user must mend, before anything is opened."""
    pump = _pump(arguments)
    endpoint = None if arguments.tcp is None else _host_and_port(arguments.tcp)
    loop = new_loop(_speed(arguments.speed))
    asyncio.set_event_loop(loop)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(ended.set))
    try:
        if endpoint is None:
            link = None if arguments.pty is None else Path(arguments.pty)
            served = serve_pty(pump, loop, link)
        else:
            served = serve_tcp(pump, loop, *endpoint)
        try:
            _say_ready(served)
            loop.run_until_complete(ended.wait())
        finally:
            served.close()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return DONE


def _say_ready(served: Served) -> None:
    sys.stderr.write(f"{PROG}: {NOTICE}\n")
    sys.stderr.flush()
    sys.stdout.write(json.dumps({"ready": True, "port": served.port}) + "\n")
    sys.stdout.flush()


def _pump(arguments: argparse.Namespace) -> NewEraPump:
    """The device that the options describe."""
    if arguments.dialect not in DIALECTS:
        raise ConfigurationError(
            f"--dialect {arguments.dialect}: not part of this version; there is {', '.join(DIALECTS)}"
        )
    for option in ("rfc2217", "faults", "control"):
        if getattr(arguments, option) is not None:
            raise ConfigurationError(f"--{option}: not part of this version")
    if arguments.model.lower() not in MODELS:
        raise ConfigurationError(f"--model {arguments.model}: it is one of {', '.join(MODELS)}")
    _whole("--seed", arguments.seed, 2**63 - 1)
    return NewEraPump(
        model=arguments.model.lower(),
        address=_whole("--address", arguments.address, ADDRESS_MAX),
        quirks=Quirks.parse(arguments.quirk),
        mount=Mount() if arguments.syringe is None else mount(arguments.syringe),
    )


def _whole(option: str, text: str, high: int) -> int:
    digits = len(str(high))
    if not (text.isascii() and text.isdigit() and len(text) <= digits and int(text) <= high):
        raise ConfigurationError(f"{option} {text}: it is a whole number in 0..{high}")
    return int(text)


def _speed(text: str) -> float:
    """Raises `ConfigurationError`."""
    try:
        speed = float(text)
    except ValueError:
        raise ConfigurationError(f"--speed {text}: it is a number") from None
    if not SPEED_MIN <= speed <= SPEED_MAX:
        raise ConfigurationError(
            f"--speed {text}: must lie between {SPEED_MIN:g} and {SPEED_MAX:g}"
        )
    return speed


def _host_and_port(text: str) -> tuple[str, int]:
    """``HOST:PORT``; without a host it is this machine's own loopback."""
    host, _, port = text.rpartition(":")
    return host.strip("[]") or LOOPBACK, _whole("--tcp port", port, TCP_PORT_MAX)
