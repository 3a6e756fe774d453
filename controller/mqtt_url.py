"""Where the broker is and how we log in: `mqtt://[user@]host[:port]`, `mqtts://`, `embedded[:PORT]`, `off`.

A password never stands in a URL, an argument or an error text: it comes from the environment or from a
file that nobody else can read.
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

PASSWORD = "INFUSOR_MQTT_PASSWORD"  # noqa: S105  # the name of a variable
PASSWORD_FILE = "INFUSOR_MQTT_PASSWORD_FILE"  # noqa: S105  # the name of a variable
FORMS = "mqtt://[user@]host[:port], mqtts://[user@]host[:port], embedded[:PORT] or off"

_PORTS = {"mqtt": 1883, "mqtts": 8883}  # as registered with IANA
_PASSWORD_BYTES_MAX = 1024


class MqttUrlError(ValueError):
    """This is no address of a broker; one line names the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Off:
    """No telemetry leaves the process."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A broker of our own on the loopback interface; port 0 is any free one."""

    port: int


@dataclass(frozen=True, slots=True)
class Broker:
    """Somebody's broker."""

    host: str
    port: int
    tls: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


MqttAddress = Off | Embedded | Broker


def parse_mqtt_url(text: str, environment: Mapping[str, str]) -> MqttAddress:
    """The address in ``text``, with the password from ``environment``.  Raises `MqttUrlError`."""
    if text == "off":
        return Off()
    if text == "embedded":
        return Embedded(0)
    if text.startswith("embedded:"):
        return Embedded(_port(text.removeprefix("embedded:")))
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if parts.scheme not in _PORTS:
        raise MqttUrlError(f"--mqtt: {_shown(text)} is not {FORMS}")
    if parts.password is not None:
        raise MqttUrlError(
            f"--mqtt: a password never stands in a URL; set {PASSWORD} or {PASSWORD_FILE}"
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment or not parts.hostname:
        raise MqttUrlError(f"--mqtt: {_shown(text)} is not {FORMS}")
    tail = parts.netloc.rpartition("@")[2].rpartition("]")[2]
    port = _port(tail.rpartition(":")[2]) if ":" in tail else _PORTS[parts.scheme]
    password = broker_password(environment) if parts.username else None
    return Broker(parts.hostname, port, parts.scheme == "mqtts", parts.username or None, password)


def broker_password(environment: Mapping[str, str]) -> str | None:
    """The password from the environment, or from the file it names.  Raises `MqttUrlError`."""
    if PASSWORD in environment:
        return environment[PASSWORD]
    if PASSWORD_FILE not in environment:
        return None
    path = Path(environment[PASSWORD_FILE])
    try:
        mode = path.stat().st_mode
        if sys.platform != "win32" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise MqttUrlError(f"{PASSWORD_FILE}: {path} must be readable by you alone (mode 0600)")
        with path.open("rb") as file:
            secret = file.read(_PASSWORD_BYTES_MAX + 1)
    except OSError as error:
        raise MqttUrlError(f"{PASSWORD_FILE}: {path}: {error.strerror}") from error
    if len(secret) > _PASSWORD_BYTES_MAX:
        raise MqttUrlError(f"{PASSWORD_FILE}: {path} is longer than {_PASSWORD_BYTES_MAX} bytes")
    try:
        return secret.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise MqttUrlError(f"{PASSWORD_FILE}: {path} is not UTF-8") from None


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65_535:
        return int(text)
    raise MqttUrlError(f"--mqtt: port {text!r} is not 1 to 65535")


def _shown(text: str) -> str:
    """``text`` for an error, unless there may be a password in it."""
    return "the URL" if "@" in text else repr(text)
