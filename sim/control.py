"""What may be asked of a simulated bench while it runs: JSON-RPC 2.0, one object a line.

Answerable for understanding a line, for refusing what is no request, and for what each method does to the
pumps of a bench.  Not answerable for sockets and tokens (`sim.control_server`).  There is no method that
evaluates code.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import partial
from typing import Any

from firmware_bridge.errors import BridgeError
from sim.control_script import SessionScript
from sim.faults.parameters import FaultValue
from sim.recording import Recorder, written
from sim.serve import Served, Snapshot

REQUEST_BYTES_MAX = 65_536
SNAPSHOTS_MAX = 100
"""Of each pump."""
TEXT_CHARS_MAX = 100
NUMBER_MAX = 1e12
"""Beyond every limit of a method; keeps what JSON can write out of arithmetic that cannot hold it."""
PARSE_ERROR, NOT_A_REQUEST, NO_METHOD, BAD_PARAMETERS, FAILED = (
    -32_700,
    -32_600,
    -32_601,
    -32_602,
    -32_000,
)
"""Codes of JSON-RPC 2.0; the last is ours."""


class _Refusal(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Method:
    """``takes``: parameter -> its types; ``pump`` may always be given.  ``more``: takes any others too."""

    do: Callable[[_Hand, Parameters], object]
    takes: Mapping[str, tuple[type, ...]] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    more: bool = False


class _Hand:
    """What the channel knows of one pump: its snapshots, and what was done to it."""

    def __init__(self, name: str, served: Served, seed: int) -> None:
        self.served = served
        self.script = SessionScript(name, served.started_s, seed)
        self.snapshots: dict[str, tuple[Snapshot, SessionScript]] = {}
        for kind, parameters in served.standing.items():
            self.script.began(kind, parameters, served.started_s)
        served.on_fault = self._told

    def _told(self, kind: str | None, parameters: Mapping[str, FaultValue] | None) -> None:
        now = self.served.now()
        if kind is None or parameters is None:
            self.script.ended(kind, now)
        else:
            self.script.began(kind, parameters, now)


class Control:
    """The pumps by name; the first is meant where a request names none."""

    def __init__(self, pumps: Mapping[str, Served], *, seed: int = 0) -> None:
        self._hands = {name: _Hand(name, served, seed) for name, served in pumps.items()}

    def handle(self, line: bytes) -> bytes | None:
        """The answer to one line, or ``None`` for a notification.  Never raises."""
        identity: object = None
        silent = False
        try:
            request = _understood(line)
            identity, silent = request.get("id"), "id" not in request
            answer: dict[str, object] = {"result": self._do(request)}
        except _Refusal as refusal:
            answer = {"error": {"code": refusal.code, "message": str(refusal)}}
        if silent:
            return None
        return json.dumps({"jsonrpc": "2.0", "id": identity, **answer}).encode() + b"\n"

    def _do(self, request: Mapping[str, Any]) -> object:
        method = METHODS.get(request["method"])
        if method is None:
            known = ", ".join(METHODS)
            raise _Refusal(NO_METHOD, f"no method {_short(request['method'])}; there are {known}")
        parameters = dict(request.get("params", {}))
        hand = self._hand(parameters.pop("pump", None))
        _check(request["method"], method, parameters)
        try:
            return method.do(hand, parameters)
        except ValueError as error:
            raise _Refusal(BAD_PARAMETERS, str(error)) from error
        except (BridgeError, OSError) as error:
            raise _Refusal(FAILED, str(error)) from error

    def _hand(self, name: object) -> _Hand:
        if name is None:
            return next(iter(self._hands.values()))
        if not isinstance(name, str) or name not in self._hands:
            there = ", ".join(self._hands)
            raise _Refusal(BAD_PARAMETERS, f"no pump {_short(name)}; there are {there}")
        return self._hands[name]


# --- lines --------------------------------------------------------------------------------------------


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= TEXT_CHARS_MAX else f"{text[:TEXT_CHARS_MAX]}..."


def _understood(line: bytes) -> Mapping[str, Any]:
    if len(line) > REQUEST_BYTES_MAX:
        raise _Refusal(NOT_A_REQUEST, f"a request is at most {REQUEST_BYTES_MAX} bytes")
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _Refusal(PARSE_ERROR, "not JSON") from error
    if not isinstance(request, dict) or request.get("jsonrpc") != "2.0":
        raise _Refusal(NOT_A_REQUEST, 'not a request of JSON-RPC "2.0"')
    if not isinstance(request.get("method"), str):
        raise _Refusal(NOT_A_REQUEST, "method must be a text")
    if not isinstance(request.get("params", {}), dict):
        raise _Refusal(NOT_A_REQUEST, "params must be an object")
    if isinstance(request.get("id"), dict | list | bool):
        raise _Refusal(NOT_A_REQUEST, "id must be a number or a text")
    return request


def _check(name: str, method: _Method, parameters: Parameters) -> None:
    for key in method.needs:
        if key not in parameters:
            raise _Refusal(BAD_PARAMETERS, f"{name} needs {key}")
    for key, value in parameters.items():
        if key not in method.takes:
            if not method.more:
                takes = ", ".join((*method.takes, "pump"))
                raise _Refusal(
                    BAD_PARAMETERS, f"{name} has no parameter {_short(key)}; it has {takes}"
                )
            types: tuple[type, ...] = (int, float, str)
        else:
            types = method.takes[key]
        _check_value(f"{name}: {key} = {_short(value)}", value, types)


def _check_value(what: str, value: object, types: tuple[type, ...]) -> None:
    if not isinstance(value, types) or isinstance(value, bool):
        raise _Refusal(BAD_PARAMETERS, f"{what} is of the wrong type")
    if isinstance(value, str) and len(value) > TEXT_CHARS_MAX:
        raise _Refusal(BAD_PARAMETERS, f"{what} is longer than {TEXT_CHARS_MAX} characters")
    if isinstance(value, int | float) and not -NUMBER_MAX <= value <= NUMBER_MAX:
        raise _Refusal(BAD_PARAMETERS, f"{what} is beyond {NUMBER_MAX:g}")


def plain(value: object) -> object:
    """Any state as JSON has it: dataclasses and tuples with names become objects, bytes hex digits."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or type(value) in (bool, int, str):
        return value
    return str(value)


# --- methods ------------------------------------------------------------------------------------------


def _truth(hand: _Hand, _: Parameters) -> object:
    truth = hand.served.truth()
    return {"now_s": hand.served.now(), **truth._asdict()}


def _state(hand: _Hand, _: Parameters) -> object:
    snapshot = hand.served.snapshot()
    return {
        "now_s": snapshot.now_s,
        "held": hand.served.clock.held,
        "speed": hand.served.clock.rate,
        "plugged": hand.served.cable.plugged,
        "state": plain(snapshot.state),
    }


def _add(hand: _Hand, parameters: Parameters) -> object:
    given = {key: value for key, value in parameters.items() if key != "kind"}
    hand.served.inject(parameters["kind"], **given)
    return {}


def _clear(hand: _Hand, parameters: Parameters) -> object:
    hand.served.clear(parameters.get("kind"))
    return {}


def _list(hand: _Hand, _: Parameters) -> object:
    standing = hand.served.standing.items()
    return {"faults": [{"kind": kind, **parameters} for kind, parameters in standing]}


def _clock(do: Callable[[Served, Parameters], object], hand: _Hand, given: Parameters) -> object:
    do(hand.served, given)
    return {"now_s": hand.served.now()}


def _save(hand: _Hand, parameters: Parameters) -> object:
    name = parameters["name"]
    if name not in hand.snapshots and len(hand.snapshots) >= SNAPSHOTS_MAX:
        raise ValueError(
            f"name = {name!r}: there are {SNAPSHOTS_MAX} snapshots, the most there can be"
        )
    hand.snapshots[name] = hand.served.snapshot(), copy.deepcopy(hand.script)
    return {}


def _restore(hand: _Hand, parameters: Parameters) -> object:
    """What was done since then is undone, in the script too."""
    name = parameters["name"]
    if name not in hand.snapshots:
        there = ", ".join(hand.snapshots) or "none"
        raise ValueError(f"name = {name!r}: no such snapshot of this pump; there are {there}")
    state, script = hand.snapshots[name]
    hand.script = copy.deepcopy(script)
    hand.served.restore(state)
    return {"now_s": hand.served.now()}


def _record(hand: _Hand, _: Parameters) -> object:
    hand.served.record()
    return {}


def _recording(take: Callable[[Served], Recorder], hand: _Hand, _: Parameters) -> object:
    recorder = take(hand.served)
    return {"recording": written(recorder.pieces), "dropped": recorder.dropped}


def _simply(do: Callable[[Served], object], hand: _Hand, _: Parameters) -> object:
    do(hand.served)
    return {}


def _export(hand: _Hand, _: Parameters) -> object:
    return {"script": hand.script.text(), "left_out": hand.script.left_out}


METHODS: Mapping[str, _Method] = {
    "state.get": _Method(_state),
    "truth.get": _Method(_truth),
    "fault.add": _Method(_add, {"kind": (str,)}, ("kind",), more=True),
    "fault.clear": _Method(_clear, {"kind": (str,)}),
    "fault.list": _Method(_list),
    "time.pause": _Method(partial(_clock, lambda served, _: served.hold())),
    "time.resume": _Method(partial(_clock, lambda served, _: served.go_on())),
    "time.step": _Method(
        partial(_clock, lambda served, given: served.step(float(given["seconds"]))),
        {"seconds": (int, float)},
        ("seconds",),
    ),
    "time.speed": _Method(
        partial(_clock, lambda served, given: served.run_at(float(given["speed"]))),
        {"speed": (int, float)},
        ("speed",),
    ),
    "snapshot.save": _Method(_save, {"name": (str,)}, ("name",)),
    "snapshot.restore": _Method(_restore, {"name": (str,)}, ("name",)),
    "record.start": _Method(_record),
    "record.get": _Method(partial(_recording, Served.recorded)),
    "record.stop": _Method(partial(_recording, Served.stop_recording)),
    "cable.unplug": _Method(partial(_simply, lambda served: served.inject("disconnect"))),
    "cable.replug": _Method(partial(_simply, lambda served: served.clear("disconnect"))),
    "power.cycle": _Method(partial(_simply, Served.power_cycle)),
    "script.export": _Method(_export),
}
"""Every method there is."""
