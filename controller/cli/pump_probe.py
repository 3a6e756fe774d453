"""``infusor pump auto:PORT identify``: who is there, found out by questions, before anybody is opened.

What was found is said at once.  Whether the pump is then also met through a bridge, which stops it, depends
on whether infusor drives it, and on a person's word where it is a clinical one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping

from controller.cli.declared import declaration
from controller.cli.outcome import Unreachable, Usage
from controller.plain_text import spelt_out
from firmware_bridge.declaration import undeclared
from firmware_bridge.dialects import dialect_kind, dialect_names
from firmware_bridge.errors import BridgeError, ConfigurationError
from firmware_bridge.notice import NOTICE
from firmware_bridge.probe import Found, find_pump, parse_auto_url


def met_by_probe(arguments: argparse.Namespace) -> tuple[str, Mapping[str, object]] | None:
    """The URL of who was found, and what is known; ``None`` where that has been all there is to tell.

    Raises `Usage`, `ConfigurationError`, `Unreachable`.
    """
    if arguments.action != "identify":
        raise Usage(f"{arguments.url}: auto: goes with identify only; name the dialect")
    declared = declaration(arguments)
    found = _find(arguments.url)
    answered = as_plain(found)
    sys.stderr.write(f"{spelt_out(sentence(found))}\n")
    why_not = _why_not(found, declared)
    if not why_not:
        return found.url, answered
    sys.stderr.write(f"not opened: {why_not}\n")
    if arguments.json:
        plain = {"pump": found.url, "action": "identify", "answered": answered, "identity": None}
        sys.stdout.write(json.dumps(plain) + "\n")
    else:
        sys.stdout.write(f"{spelt_out(found.url)}\n{NOTICE}\n")
    return None


def as_plain(found: Found) -> dict[str, object]:
    """Plain data: where a port has no line speed, neither speed nor parity is known."""
    known = found.baud is not None
    return {
        "dialect": found.answer.dialect,
        "baud": found.baud,
        "line": found.frame if known else None,
        "address": found.answer.address,
        "said": found.answer.said,
        "url": found.url,
    }


def sentence(found: Found) -> str:
    """The same for a person."""
    answer = found.answer
    at = "at any speed" if found.baud is None else f"at {found.baud} baud {found.frame}"
    return f"{answer.dialect} answers {at}, address {answer.address}: {answer.said!r}"


def _find(url: str) -> Found:
    show = sys.stderr.isatty()

    def trying(what: str) -> None:
        if show:
            sys.stderr.write(f"\r\x1b[Kasking at {what}")
            sys.stderr.flush()

    wanted = parse_auto_url(url)
    try:
        return asyncio.run(find_pump(wanted, on_try=trying))
    except ConfigurationError:
        raise
    except BridgeError as error:
        raise Unreachable(str(error)) from error
    finally:
        if show:
            sys.stderr.write("\r\x1b[K")


def _why_not(found: Found, declared: str) -> str:
    """Why the pump that was found is not met; empty where it is."""
    name = found.answer.dialect
    if name not in dialect_names():
        return f"infusor does not drive {name}"
    return undeclared(dialect_kind(name).capabilities, declared)
