"""What stands on a simulated bench: pumps, and the ports they are plugged into.

Answerable for taking a description (of the command line or a TOML file) apart, for refusing it in one
line that names file, key, value and limit before anything is opened, and for opening it.  Pumps that
name the same port hang on it together, as on a daisy chain; a pump may name several.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from firmware_bridge.errors import ConfigurationError
from sim.devices.base import Device, unheard
from sim.devices.kinds import DeviceKind, PumpOptions, device_kind
from sim.devices.quirks import QuirkError
from sim.devices.syringes import SyringeError, mount
from sim.ports import Port, PtyPort, TcpPort
from sim.serve import LOOPBACK, Served
from sim.shared_port import SharedPort

if TYPE_CHECKING:
    from sim.faults.script import Entry
    from sim.recording import Piece

TCP_PORT_MAX = 65_535
SEED_MAX = 2**63 - 1
TOKEN_VARIABLE = "INFUSOR_CONTROL_TOKEN"  # noqa: S105  the name of a variable, no secret
PUMPS_MAX = 100
"""As many as a daisy chain can address."""
SCHEMES = ("pty", "tcp", "rfc2217")
PORT_FORMS = "pty, pty:LINK, tcp:HOST:PORT or rfc2217:HOST:PORT"

_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "dialect": str,
    "model": str,
    "address": int,
    "syringe": str,
    "loaded_ml": (int, float),
    "physics": str,
    "quirks": dict,
    "ports": list,
    "seed": int,
    "faults": str,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpSpec:
    """One pump and where it is plugged in.  ``seed``: of the chances of its lines."""

    name: str
    dialect: str
    options: PumpOptions
    ports: tuple[str, ...] = ("pty",)
    seed: int = 0
    faults: tuple[Entry, ...] = ()
    replay: tuple[Piece, ...] | None = None
    """A recording in the place of a pump."""


def pump_spec(
    *,
    name: str = "pump-1",
    dialect: str,
    model: str | None = None,
    address: int = 0,
    syringe: str | None = None,
    loaded_ml: float | None = None,
    physics: str | None = None,
    quirks: Sequence[str] = (),
    ports: Sequence[str] = ("pty",),
    seed: int = 0,
    faults: Path | None = None,
) -> PumpSpec:
    """Raises `ConfigurationError` naming the value and what there is."""
    kind = device_kind(dialect)
    chosen = kind.models[0] if model is None else model.lower()
    if chosen not in kind.models:
        raise ConfigurationError(f"model {model}: it is one of {', '.join(kind.models)}")
    if not 0 <= address <= kind.address_max:
        raise ConfigurationError(f"address {address}: it is in 0..{kind.address_max}")
    if not 0 <= seed <= SEED_MAX:
        raise ConfigurationError(f"seed {seed}: it is in 0..{SEED_MAX}")
    if syringe is None and loaded_ml is not None:
        raise ConfigurationError(f"loaded_ml {loaded_ml:g}: only together with a syringe")
    try:
        options = PumpOptions(model=chosen, address=address, quirks=tuple(quirks))
        if physics is not None:
            options = _after(options, physics)
        if syringe is not None:
            options = replace(options, mount=mount(syringe, loaded_ml=loaded_ml))
        kind.make(options)  # what a dialect refuses, it refuses now
    except (QuirkError, SyringeError) as error:
        raise ConfigurationError(str(error)) from error
    for port in ports:
        _place(port)
    return PumpSpec(
        name=name,
        dialect=dialect,
        options=options,
        ports=tuple(ports),
        seed=seed,
        faults=() if faults is None else _entries(faults, kind),
    )


def _after(options: PumpOptions, name: str) -> PumpOptions:
    """Drive, line and syringe of a named set; a syringe that is named too goes before the set's."""
    from sim.physics import PhysicsError, physics  # noqa: PLC0415  # an ideal pump is up sooner

    try:
        chosen = physics(name)
    except PhysicsError as error:
        raise ConfigurationError(str(error)) from error
    return replace(options, mount=chosen.mount, line=chosen.line, drive=chosen.drive)


def _entries(path: Path, kind: DeviceKind) -> tuple[Entry, ...]:
    # A pump that nobody breaks by script is up sooner without these.
    from sim.fault_stage import possible_for  # noqa: PLC0415
    from sim.faults.script import ScriptError, read_script  # noqa: PLC0415

    try:
        return tuple(read_script(path, possible_for(kind)))
    except ScriptError as error:
        raise ConfigurationError(str(error)) from error


def replay_spec(path: Path, ports: Sequence[str]) -> PumpSpec:
    """A recording in the place of a pump.  Raises `ConfigurationError`."""
    from sim.recording_file import read_recording  # noqa: PLC0415  # only in the place of a pump

    pieces = read_recording(path)
    for port in ports:
        _place(port)
    options = PumpOptions(model="recording")
    return PumpSpec(
        name="pump-1", dialect="replay", options=options, ports=tuple(ports), replay=tuple(pieces)
    )


def read_bench(path: Path) -> list[PumpSpec]:
    """The pumps of a TOML file, a ``[[pump]]`` table each.  Raises `ConfigurationError`."""
    import tomllib  # noqa: PLC0415  # a pump without a file is up sooner

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: not a TOML file: {error}") from error
    tables = data.pop("pump", None)
    if data:
        raise ConfigurationError(f"{path}: unknown key {next(iter(data))!r}; there is [[pump]]")
    if not isinstance(tables, list) or not 0 < len(tables) <= PUMPS_MAX:
        raise ConfigurationError(f"{path}: one to {PUMPS_MAX} [[pump]] tables are needed")
    specs = [_table(path, number, table) for number, table in enumerate(tables, start=1)]
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{path}: name {name!r} is there twice")
    return specs


class Bench:
    """Pumps at their ports, on one loop."""

    def __init__(
        self,
        specs: Sequence[PumpSpec],
        loop: asyncio.AbstractEventLoop,
        on_deviation: Callable[[str], None] = unheard,
    ) -> None:
        """Opens everything; raises what a port raises, and leaves nothing behind then.

        ``on_deviation``: told when a host parts from the recording that stands in for a pump.
        """
        self.pumps: dict[str, Served] = {}
        self.loop = loop
        self._shared: dict[str, SharedPort] = {}
        wanted = [port for spec in specs for port in spec.ports]
        try:
            for spec in specs:
                ports = [self._port(port, shared=wanted.count(port) > 1) for port in spec.ports]
                served = Served(_device(spec, on_deviation), loop, *ports, seed=spec.seed)
                self.pumps[spec.name] = served
                if spec.faults:
                    _play(served, spec)
        except Exception:
            self.close()
            raise

    @property
    def port(self) -> str:
        """The first there is to open."""
        return next(iter(self.pumps.values())).port

    def close(self) -> None:
        """Nothing is left on the loop, no port and no link.  Idempotent."""
        for served in self.pumps.values():
            served.close()

    def _port(self, text: str, *, shared: bool) -> Port:
        """A pseudo-terminal without a link is never shared: nobody could name it twice."""
        if not shared or text == "pty":
            return _opened(text, self.loop)
        if text not in self._shared:
            self._shared[text] = SharedPort(_opened(text, self.loop))
        return self._shared[text].tap()


def _play(served: Served, spec: PumpSpec) -> None:
    from sim.fault_stage import FaultStage  # noqa: PLC0415  # only where there is a script

    def told(sentence: str) -> None:
        sys.stderr.write(f"{spec.name}: {sentence}\n")
        sys.stderr.flush()

    FaultStage(served, spec.faults, spec.seed, told)


def _device(spec: PumpSpec, on_deviation: Callable[[str], None]) -> Device:
    if spec.replay is not None:
        from sim.devices.replay import ReplayPump  # noqa: PLC0415  # only in the place of a pump

        return ReplayPump(spec.replay, on_deviation)
    return device_kind(spec.dialect).make(spec.options)


def _opened(text: str, loop: asyncio.AbstractEventLoop) -> Port:
    scheme, link, (host, port) = _place(text)
    if scheme == "pty":
        return PtyPort(loop, Path(link) if link else None)
    if scheme == "tcp":
        return TcpPort(loop, host, port)
    from sim.rfc2217_port import Rfc2217Port  # noqa: PLC0415  # only where one is asked for

    return Rfc2217Port(loop, host, port)


def _place(text: str) -> tuple[str, str, tuple[str, int]]:
    """Scheme, link, and address of a port.  Raises `ConfigurationError`."""
    scheme, _, rest = text.partition(":")
    if scheme == "pty":
        return scheme, rest, ("", 0)
    if scheme not in SCHEMES:
        raise ConfigurationError(f"port {text!r}: it is {PORT_FORMS}")
    return scheme, "", host_and_port(scheme, rest)


def host_and_port(what: str, text: str) -> tuple[str, int]:
    """``HOST:PORT``; without a host it is this machine's own loopback.  Raises `ConfigurationError`."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= TCP_PORT_MAX):
        raise ConfigurationError(f"{what} {text}: it is HOST:PORT with a port in 0..{TCP_PORT_MAX}")
    return host.strip("[]") or LOOPBACK, int(port)


def _table(path: Path, number: int, table: object) -> PumpSpec:
    """One ``[[pump]]``, every key checked for its type."""
    where = f"{path}: pump {number}"
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where}: must be a table")
    for key, value in table.items():
        if key not in _KEYS:
            raise ConfigurationError(f"{where}: unknown key {key!r}; there are {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]) or isinstance(value, bool):
            raise ConfigurationError(f"{where}: {key} = {value!r} is of the wrong type")
    if "dialect" not in table:
        raise ConfigurationError(f"{where}: dialect is missing")
    ports = table.pop("ports", ["pty"])
    if not ports or not all(isinstance(port, str) for port in ports):
        raise ConfigurationError(f"{where}: ports = {ports!r} must be texts: {PORT_FORMS}")
    quirks = [f"{name}={value}" for name, value in table.pop("quirks", {}).items()]
    script = table.pop("faults", None)
    faults = None if script is None else path.parent / script
    try:
        return pump_spec(
            **{"name": f"pump-{number}", **table}, quirks=quirks, ports=ports, faults=faults
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from error
