"""A simulated pump on a pseudo-terminal or a TCP port, for anybody's software.

Prints one line when ready, {"ready": true, "port": "..."}, and runs until SIGTERM or Ctrl-C.  The port
can be pasted into pyserial's serial_for_url, or after a dialect into a pump URL.  It listens on this
machine only, unless an option names another address.  --config FILE.toml describes several pumps in one
process, a [[pump]] table each; those that name the same port hang on it as on a daisy chain.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from firmware_bridge.clock import new_loop
from firmware_bridge.errors import ConfigurationError, LinkError
from firmware_bridge.notice import NOTICE
from sim.devices.kinds import BUILT_IN
from sim.pump_bench import SEED_MAX, Bench, PumpSpec, host_and_port, pump_spec, read_bench

PROG = "infusor sim pump"
DONE, BAD_USAGE, UNREACHABLE = 0, 2, 3

_OF_ONE_PUMP = ("model", "pty", "tcp", "rfc2217", "syringe", "address", "seed")
"""Options that --config leaves no place for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command; values stay text here, so that every complaint is ours."""
    parser.add_argument(
        "--dialect", metavar="D", help=f"one of {', '.join(BUILT_IN)}, or one installed by others"
    )
    parser.add_argument(
        "--model", metavar="M", help="picks the model's defaults; a wrong one lists those there are"
    )
    where = parser.add_argument_group("ports (one or several; default: a pseudo-terminal)")
    where.add_argument("--pty", metavar="LINK", help="pseudo-terminal under this symbolic link")
    where.add_argument("--tcp", metavar="HOST:PORT", help="TCP port; port 0 takes a free one")
    where.add_argument(
        "--rfc2217", metavar="HOST:PORT", help="the same for network serial ports (RFC 2217)"
    )
    parser.add_argument(
        "--syringe",
        metavar="NAME",
        help="such as bd-10, which is then full; default: one that fits any diameter and has no ends",
    )
    parser.add_argument("--address", metavar="N", help="network address (default 0)")
    parser.add_argument(
        "--speed",
        default="1",
        metavar="K",
        help="seconds of the pump in one of the wall's (default 1)",
    )
    parser.add_argument("--seed", metavar="N", help="for what is left to chance (default 0)")
    parser.add_argument(
        "--quirk",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a switch for what is unconfirmed of the family; a wrong one lists those there are",
    )
    parser.add_argument("--config", metavar="FILE", help="several pumps, described in TOML")
    parser.add_argument("--faults", metavar="FILE", help="not part of this version")
    parser.add_argument("--control", metavar="PATH|HOST:PORT", help="not part of this version")


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to end.  Exit codes: 0, 2 for bad input, 3 for a port that cannot be had."""
    try:
        return _run(arguments)
    except ConfigurationError as problem:
        sys.stderr.write(f"{PROG}: {problem}\n")
        return BAD_USAGE
    except LinkError as problem:
        sys.stderr.write(f"{PROG}: {problem}\n")
        return UNREACHABLE


def _run(arguments: argparse.Namespace) -> int:
    """Raises what the user must mend, before anything is opened."""
    specs = _specs(arguments)
    loop = new_loop(_speed(arguments.speed))
    asyncio.set_event_loop(loop)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(ended.set))
    try:
        bench = Bench(specs, loop)
        try:
            _say_ready(bench)
            loop.run_until_complete(ended.wait())
        finally:
            bench.close()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return DONE


def _say_ready(bench: Bench) -> None:
    sys.stderr.write(f"{PROG}: {NOTICE}\n")
    sys.stderr.flush()
    ready: dict[str, object] = {"ready": True, "port": bench.port}
    ports = {name: list(served.ports) for name, served in bench.pumps.items()}
    if sum(map(len, ports.values())) > 1:
        ready["ports"] = ports
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()


def _specs(arguments: argparse.Namespace) -> list[PumpSpec]:
    """The pumps that the options describe."""
    for option in ("faults", "control"):
        if getattr(arguments, option) is not None:
            raise ConfigurationError(f"--{option}: not part of this version")
    if arguments.config is not None:
        for option in ("dialect", *_OF_ONE_PUMP):
            if getattr(arguments, option) is not None:
                raise ConfigurationError(f"--{option}: belongs into the file of --config")
        if arguments.quirk:
            raise ConfigurationError("--quirk: belongs into the file of --config")
        return read_bench(Path(arguments.config))
    if arguments.dialect is None:
        raise ConfigurationError("--dialect D or --config FILE is required")
    try:
        spec = pump_spec(
            dialect=arguments.dialect,
            model=arguments.model,
            address=_whole("--address", arguments.address, 999),
            syringe=arguments.syringe,
            quirks=arguments.quirk,
            ports=_ports(arguments),
            seed=_whole("--seed", arguments.seed, SEED_MAX),
        )
    except ConfigurationError as error:
        text = str(error)
        raise ConfigurationError(
            f"--{text}" if text.split(maxsplit=1)[0] in _OF_ONE_PUMP else text
        ) from error
    return [spec]


def _ports(arguments: argparse.Namespace) -> list[str]:
    ports = [] if arguments.pty is None else [f"pty:{arguments.pty}"]
    for scheme in ("tcp", "rfc2217"):
        text = getattr(arguments, scheme)
        if text is not None:
            host_and_port(f"--{scheme}", text)
            ports.append(f"{scheme}:{text}")
    return ports or ["pty"]


def _whole(option: str, text: str | None, high: int) -> int:
    if text is None:
        return 0
    digits = len(str(high))
    if not (text.isascii() and text.isdigit() and len(text) <= digits and int(text) <= high):
        raise ConfigurationError(f"{option} {text}: it is a whole number in 0..{high}")
    return int(text)


def _speed(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"--speed {text}: it is a number") from None
