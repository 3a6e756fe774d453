"""A simulated pump on a pseudo-terminal or a TCP port, for anybody's software.

Prints one line when ready, {"ready": true, "port": "..."}, and runs until SIGTERM or Ctrl-C.  The port
can be pasted into pyserial's serial_for_url, or after a dialect into a pump URL.  It listens on this
machine only, unless an option names another address.  --config FILE.toml describes several pumps in one
process, a [[pump]] table each; those that name the same port hang on it as on a daisy chain.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path

from firmware_bridge.clock import SPEED_MAX, SPEED_MIN, new_loop
from firmware_bridge.errors import ConfigurationError, LinkError
from firmware_bridge.notice import NOTICE
from sim.devices.kinds import BUILT_IN
from sim.pump_bench import (
    SEED_MAX,
    TOKEN_VARIABLE,
    Bench,
    PumpSpec,
    host_and_port,
    pump_spec,
    read_bench,
    replay_spec,
)
from sim.quick_loop import AVAILABLE, QuickLoop

PROG = "infusor sim pump"
DONE, FOUND, BAD_USAGE, UNREACHABLE = 0, 1, 2, 3

_OF_ONE_PUMP = (
    "model",
    "pty",
    "tcp",
    "rfc2217",
    "syringe",
    "loaded_ml",
    "physics",
    "address",
    "seed",
)
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
    parser.add_argument(
        "--loaded-ml", metavar="V", help="what is in the syringe at the start (default: full)"
    )
    parser.add_argument(
        "--physics",
        metavar="NAME",
        help="drive, line and syringe as one published bench had them; a wrong one lists those there are",
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
    parser.add_argument("--faults", metavar="FILE", help="a fault script (see infusor sim faults)")
    parser.add_argument(
        "--replay",
        metavar="FILE",
        help="answer as a recording does (see infusor sim record); a host that says anything else is "
        "told of on stderr, and by exit code 1",
    )
    parser.add_argument(
        "--control",
        metavar="PATH|HOST:PORT",
        help="be asked and broken while running: JSON-RPC, a line each; a port needs a token",
    )
    parser.add_argument(
        "--control-token-file",
        metavar="FILE",
        help=f"mode 0600; default: the environment's {TOKEN_VARIABLE}",
    )
    parser.add_argument(
        "--until-eof",
        action="store_true",
        help="end when standard input does, so that the pump cannot outlive whoever started it",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to end.

    Exit codes: 0, 1 for a host that did not follow a recording, 2 for bad input, 3 for a port that
    cannot be had.
    """
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
    loop = _loop(_speed(arguments.speed))
    asyncio.set_event_loop(loop)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(ended.set))
    if arguments.until_eof:
        _end_with_stdin(loop, ended)
    deviations: list[str] = []

    def deviated(what: str) -> None:
        deviations.append(what)
        sys.stderr.write(f"{PROG}: the host does not follow the recording: {what}\n")
        sys.stderr.flush()

    try:
        bench = Bench(specs, loop, deviated)
        try:
            loop.run_until_complete(_serve(arguments, bench, specs[0].seed, ended))
        finally:
            bench.close()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return FOUND if deviations else DONE


def _end_with_stdin(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """In a thread: not everything that stdin can be tells a loop that it has ended."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(sys.stdin.fileno(), 4_096):
                pass
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()


def _loop(speed: float) -> asyncio.AbstractEventLoop:
    """The quickest there is at that speed."""
    return QuickLoop() if speed == 1 and AVAILABLE else new_loop(speed)


async def _serve(
    arguments: argparse.Namespace, bench: Bench, seed: int, ended: asyncio.Event
) -> None:
    """Until told to end; the ready line comes when everything can be reached."""
    if arguments.control is None:
        _say_ready(bench)
        await ended.wait()
        return
    from sim.control import Control  # noqa: PLC0415  # a pump without a control channel is up sooner
    from sim.control_server import open_control  # noqa: PLC0415

    file = arguments.control_token_file
    server = await open_control(
        arguments.control,
        Control(bench.pumps, seed=seed),
        token_file=None if file is None else Path(file),
    )
    try:
        _say_ready(bench, server.address)
        await ended.wait()
    finally:
        await server.close()


def _say_ready(bench: Bench, control: str = "") -> None:
    sys.stderr.write(f"{PROG}: {NOTICE}\n")
    sys.stderr.flush()
    ready: dict[str, object] = {"ready": True, "port": bench.port}
    ports = {name: list(served.ports) for name, served in bench.pumps.items()}
    if sum(map(len, ports.values())) > 1:
        ready["ports"] = ports
    if control:
        ready["control"] = control
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()


def _specs(arguments: argparse.Namespace) -> list[PumpSpec]:
    """The pumps that the options describe."""
    if arguments.control_token_file is not None and arguments.control is None:
        raise ConfigurationError("--control-token-file: only together with --control")
    if arguments.replay is not None:
        _none_of(
            arguments,
            "--replay",
            ("dialect", "model", "syringe", "loaded_ml", "physics", "address", "faults", "config"),
        )
        return [replay_spec(Path(arguments.replay), _ports(arguments))]
    if arguments.config is not None:
        _none_of(arguments, "--config", ("dialect", "faults", *_OF_ONE_PUMP))
        return read_bench(Path(arguments.config))
    if arguments.dialect is None:
        raise ConfigurationError("--dialect D or --config FILE is required")
    try:
        spec = pump_spec(
            dialect=arguments.dialect,
            model=arguments.model,
            address=_whole("--address", arguments.address, 999),
            syringe=arguments.syringe,
            physics=arguments.physics,
            loaded_ml=None if arguments.loaded_ml is None else _loaded_ml(arguments.loaded_ml),
            quirks=arguments.quirk,
            ports=_ports(arguments),
            seed=_whole("--seed", arguments.seed, SEED_MAX),
            faults=None if arguments.faults is None else Path(arguments.faults),
        )
    except ConfigurationError as error:
        word, _, rest = str(error).partition(" ")
        named = f"{_spelt(word)} {rest}" if word in _OF_ONE_PUMP else str(error)
        raise ConfigurationError(named) from error
    return [spec]


def _none_of(arguments: argparse.Namespace, beside: str, options: tuple[str, ...]) -> None:
    for option in (*options, "quirk"):
        if getattr(arguments, option):
            raise ConfigurationError(f"{_spelt(option)}: not together with {beside}")


def _spelt(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _loaded_ml(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"--loaded-ml {text}: it is a number in mL") from None


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
