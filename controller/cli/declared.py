"""The option by which somebody declares that a clinical pump on the bench is connected to nobody."""

from __future__ import annotations

import argparse

from controller.cli.outcome import Usage
from firmware_bridge.declaration import OPTION, declared_by
from firmware_bridge.errors import ConfigurationError


def add_declaration(parser: argparse.ArgumentParser) -> None:
    """The option, as every command that opens a pump has it."""
    parser.add_argument(
        OPTION,
        dest="declared",
        metavar="NAME",
        help="for a clinical pump: who declares that it is connected to nobody; recorded",
    )


def declaration(arguments: argparse.Namespace) -> str:
    """Who has declared it; empty where nobody did.  Raises `Usage`."""
    if arguments.declared is None:
        return ""
    try:
        return declared_by(arguments.declared)
    except ConfigurationError as error:
        raise Usage(str(error)) from error
