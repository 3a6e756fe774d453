"""The operator's word that a clinical pump on the bench is connected to nobody.

infusor never drives a pump that is connected to a person.  A laboratory pump could not be; a clinical
one could, so it is not even greeted before somebody has put their name to it.  Answerable for what
counts as such a word, and for the sentence that asks for it.  Pure.
"""

from __future__ import annotations

from firmware_bridge.errors import ConfigurationError
from firmware_bridge.messages import Capability

OPTION = "--declare-not-connected"
NAME_MAX = 80


def declared_by(name: str) -> str:
    """The name under a declaration.  Raises `ConfigurationError` where it is none."""
    name = name.strip()
    if not name or len(name) > NAME_MAX or not name.isprintable():
        raise ConfigurationError(
            f"{OPTION} {name[:NAME_MAX]!r}: must be a name of 1 to {NAME_MAX} printable characters"
        )
    return name


def undeclared(capabilities: Capability | None, declared: str) -> str:
    """Why a pump with these capabilities may not be talked to; empty where it may."""
    if declared or capabilities is None or Capability.CLINICAL not in capabilities:
        return ""
    return (
        "this is a clinical pump, and infusor never drives a pump that is connected to a person: "
        f'{OPTION} "YOUR NAME" says that it is connected to nobody, and is recorded'
    )
