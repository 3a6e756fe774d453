"""What may be asked of a simulated bench while it runs: JSON-RPC 2.0, one object a line.

Answerable for understanding a line, for refusing what is no request, and for what each method does to the
pumps of a bench.  Not answerable for sockets and tokens (`sim.control_server`).  There is no method that
evaluates code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

from sim.control_script import SessionScript
from sim.faults.parameters import FaultError
from sim.recording import written
from sim.serve import Served, Snapshot

REQUEST_BYTES_MAX = 65_536
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

    do: Callable[[Control, Served, Parameters], object]
    takes: Mapping[str, tuple[type, ...]]
    needs: tuple[str, ...] = ()
    more: bool = False


class Control:
    """The pumps by name; the first is meant where a request names none."""

    def __init__(self, pumps: Mapping[str, Served], *, seed: int = 0) -> None:
        self.pumps = pumps
        self.snapshots: dict[str, tuple[Served, Snapshot]] = {}
        first = next(iter(pumps.values()))
        self.script = SessionScript(first.now(), seed)

    def handle(self, line: bytes) -> bytes | None:
        """The answer to one line, or ``None`` for a notification.  Never raises."""
        identity: object = None
        try:
            request = _understood(line)
            identity = request.get("id")
            result = self._do(request)
        except _Refusal as refusal:
            error = {"code": refusal.code, "message": str(refusal)}
            return _line({"jsonrpc": "2.0", "id": identity, "error": error})
        if "id" not in request:
            return None
        return _line({"jsonrpc": "2.0", "id": identity, "result": result})

    def _do(self, request: Mapping[str, Any]) -> object:
        method = METHODS.get(request["method"])
        if method is None:
            known = ", ".join(METHODS)
            raise _Refusal(NO_METHOD, f"no method {request['method']!r}; there are {known}")
        parameters = dict(request.get("params", {}))
        served = self._pump(parameters.pop("pump", None))
        _check(request["method"], method, parameters)
        try:
            return method.do(self, served, parameters)
        except (FaultError, ValueError) as error:
            raise _Refusal(BAD_PARAMETERS, str(error)) from error
        except OSError as error:
            raise _Refusal(FAILED, str(error)) from error

    def _pump(self, name: object) -> Served:
        if name is None:
            return next(iter(self.pumps.values()))
        if not isinstance(name, str) or name not in self.pumps:
            there = ", ".join(self.pumps)
            raise _Refusal(BAD_PARAMETERS, f"no pump {name!r}; there are {there}")
        return self.pumps[name]


# --- lines --------------------------------------------------------------------------------------------


def _line(answer: Mapping[str, object]) -> bytes:
    return json.dumps(answer).encode() + b"\n"


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
                raise _Refusal(BAD_PARAMETERS, f"{name} has no parameter {key!r}; it has {takes}")
            types: tuple[type, ...] = (int, float, str)
        else:
            types = method.takes[key]
        if not isinstance(value, types) or isinstance(value, bool):
            raise _Refusal(BAD_PARAMETERS, f"{name}: {key} = {value!r} is of the wrong type")


def plain(value: object) -> object:
    """Any state as JSON has it: dataclasses and tuples with names become objects."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset | bytearray | bytes):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


# --- methods ------------------------------------------------------------------------------------------


def _truth(_control: Control, served: Served, _: Parameters) -> object:
    return {"now_s": served.now(), **served.truth()._asdict()}


def _state(_control: Control, served: Served, _: Parameters) -> object:
    served.truth()
    return {
        "now_s": served.now(),
        "held": served.clock.held,
        "state": plain(served.snapshot().state),
    }


def _add(control: Control, served: Served, parameters: Parameters) -> object:
    given = {key: value for key, value in parameters.items() if key != "kind"}
    kind = parameters["kind"]
    served.inject(kind, **given)
    control.script.began(_name(control, served), kind, given, served.now())
    return {}


def _clear(control: Control, served: Served, parameters: Parameters) -> object:
    kind = parameters.get("kind")
    served.clear(kind)
    control.script.ended(_name(control, served), kind, served.now())
    return {}


def _list(control: Control, served: Served, _: Parameters) -> object:
    return {"faults": control.script.standing(_name(control, served))}


def _hold(_control: Control, served: Served, _: Parameters) -> object:
    served.hold()
    return {"now_s": served.now()}


def _go_on(_control: Control, served: Served, _: Parameters) -> object:
    served.go_on()
    return {"now_s": served.now()}


def _step(_control: Control, served: Served, parameters: Parameters) -> object:
    served.step(float(parameters["seconds"]))
    return {"now_s": served.now()}


def _speed(_control: Control, served: Served, parameters: Parameters) -> object:
    served.run_at(float(parameters["speed"]))
    return {"now_s": served.now()}


def _save(control: Control, served: Served, parameters: Parameters) -> object:
    control.snapshots[parameters["name"]] = (served, served.snapshot())
    return {}


def _restore(control: Control, _served: Served, parameters: Parameters) -> object:
    name = parameters["name"]
    if name not in control.snapshots:
        raise ValueError(
            f"no snapshot {name!r}; there are {', '.join(control.snapshots) or 'none'}"
        )
    served, state = control.snapshots[name]
    served.restore(state)
    return {}


def _record(_control: Control, served: Served, _: Parameters) -> object:
    served.record()
    return {}


def _recorded(_control: Control, served: Served, _: Parameters) -> object:
    return {"recording": written(served.recorded())}


def _cable(action: str) -> Callable[[Control, Served, Parameters], object]:
    def do(_control: Control, served: Served, _: Parameters) -> object:
        getattr(served, action)()
        return {}

    return do


def _export(control: Control, _served: Served, _: Parameters) -> object:
    return {"seed": control.script.seed, "script": control.script.text()}


def _name(control: Control, served: Served) -> str:
    return next(name for name, other in control.pumps.items() if other is served)


METHODS: Mapping[str, _Method] = {
    "state.get": _Method(_state, {}),
    "truth.get": _Method(_truth, {}),
    "fault.add": _Method(_add, {"kind": (str,)}, ("kind",), more=True),
    "fault.clear": _Method(_clear, {"kind": (str,)}),
    "fault.list": _Method(_list, {}),
    "time.pause": _Method(_hold, {}),
    "time.resume": _Method(_go_on, {}),
    "time.step": _Method(_step, {"seconds": (int, float)}, ("seconds",)),
    "time.speed": _Method(_speed, {"speed": (int, float)}, ("speed",)),
    "snapshot.save": _Method(_save, {"name": (str,)}, ("name",)),
    "snapshot.restore": _Method(_restore, {"name": (str,)}, ("name",)),
    "record.start": _Method(_record, {}),
    "record.stop": _Method(_recorded, {}),
    "cable.unplug": _Method(_cable("unplug"), {}),
    "cable.replug": _Method(_cable("replug"), {}),
    "power.cycle": _Method(_cable("power_cycle"), {}),
    "script.export": _Method(_export, {}),
}
"""Every method there is."""
