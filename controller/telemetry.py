"""What goes to the dashboards: topics and payloads of `infusion/v1/<device>/...`, as plain data.

Flat JSON, one object a topic, the unit in the key, a fixed type per key.  A value that is not known is
*absent* and ``<key>_ok`` is 0; null and NaN never appear.  State appears as text for people and as
``_n`` for plotting.  Events come from the session log and carry its ``seq``; everything else is a
snapshot and carries ``eseq``, the last event it includes.

Nothing here can change a dose: the one message that comes in is a request to stop.  Not answerable
for sending anything (`publisher`, `mqtt`), nor for units and codes (`metrics`), nor for what to tell
(`telemetry_views`).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from controller.flat_json import FlatJsonError, FlatObject, Scalar, parse_flat
from controller.log_format import Record, Stamp
from controller.metrics import EVENT_CODES, METRICS, VITALS, describe
from controller.telemetry_views import (
    AlarmState,
    AlarmView,
    EstopOutcome,
    EstopRequest,
    Inactivation,
    MetaView,
    Priority,
    PumpSample,
    SessionView,
)
from firmware_bridge.messages import PumpState
from firmware_bridge.notice import NOTICE
from firmware_bridge.quantities import Rate, Volume

SCHEMA_VERSION = 1
PREFIX = "infusion/v1"
PA_PER_MMHG = 133.322387415  # conventional millimetre of mercury

DEVICE_ID = re.compile(r"[a-z0-9-]{1,32}")
_ALARM_ID = re.compile(r"[a-z0-9_]{1,48}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,36}")


class TelemetryError(ValueError):
    """A name that may not become part of a topic."""


class Message(NamedTuple):
    """One message, ready to be sent."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class Telemetry:
    """Makes the messages of one device in one process.  Raises `TelemetryError` for a bad device id."""

    def __init__(self, *, device: str, boot: str, session: str, simulated: bool) -> None:
        if not DEVICE_ID.fullmatch(device):
            raise TelemetryError(f"device id {device!r}: 1 to 32 of a-z, 0-9 and - are allowed")
        self.device = device
        self.root = f"{PREFIX}/{device}"
        self.availability_topic = f"{self.root}/availability"
        self.estop_topic = f"{self.root}/cmd/estop"
        self.boot = boot
        self._session = session
        self._simulated = simulated
        self._pump_topic = f"{self.root}/pump"
        self._vitals_topic = f"{self.root}/vitals"
        self._model_topic = f"{self.root}/model"
        self._pump_sample: PumpSample | None = None
        self._pump_fields = b""

    def availability(self, *, online: bool) -> Message:
        """``online``, or what the broker says of us once we are gone."""
        return Message(self.availability_topic, b"online" if online else b"offline", 1, retain=True)

    def meta(self, stamp: Stamp, eseq: int, view: MetaView) -> Message:
        """The birth document: the only one with a table in it."""
        name = f"{self.device} (SIMULATED)" if self._simulated else self.device
        record: dict[str, object] = {
            **self._snapshot(stamp, eseq),
            "notice": NOTICE,
            "name": name,
            "version": view.version,
            "procedure": view.procedure,
            "pump": view.pump,
            "firmware": view.firmware,
            "serial_number": view.serial_number,
            "states": list(_STATE_TEXT.values()),
            "schema_hash": SCHEMA_HASH,
            "metrics": METRIC_TABLE,
        }
        return Message(f"{self.root}/meta", _ENCODE(record), 1, retain=True)

    def pump(self, stamp: Stamp, eseq: int, sample: PumpSample) -> Message:
        """One atomic sample of the pump.  Drug and time left are rounded down.

        The fields of a sample are made once: a pump at rest says the same every second.
        """
        if sample is not self._pump_sample:
            self._pump_sample, self._pump_fields = sample, _ENCODE(_pump_fields(sample))
        payload = b"%b,%b" % (_ENCODE(self._snapshot(stamp, eseq))[:-1], self._pump_fields[1:])
        return Message(self._pump_topic, payload, 0, retain=False)

    def vitals(self, stamp: Stamp, eseq: int, values: Mapping[str, float]) -> Message:
        """The monitor's numbers.  A missing or infinite one is unknown; other keys are ignored."""
        record = self._snapshot(stamp, eseq)
        for key, key_ok, decimals in _VITAL_KEYS:
            value = values.get(key)
            if value is None or not math.isfinite(value):
                record[key_ok] = 0
            else:
                record[key] = round(float(value), decimals)
                record[key_ok] = 1
        return Message(self._vitals_topic, _ENCODE(record), 0, retain=False)

    def model(self, stamp: Stamp, eseq: int, values: Mapping[str, float]) -> Message:
        """What only a simulation can know: concentrations and the patient's truth."""
        record = self._snapshot(stamp, eseq)
        _add_finite(record, values)
        return Message(self._model_topic, _ENCODE(record), 0, retain=False)

    def diag(self, stamp: Stamp, eseq: int, values: Mapping[str, Scalar]) -> Message:
        """The health of links and queues."""
        record = self._snapshot(stamp, eseq)
        _add_finite(record, values)
        return Message(f"{self.root}/diag", _ENCODE(record), 0, retain=False)

    def session(self, stamp: Stamp, eseq: int, view: SessionView) -> Message:
        """Where the visit stands; retained, so that whoever comes late sees it at once."""
        record = self._snapshot(stamp, eseq)
        record |= {
            "state": view.state,
            "state_n": view.state_n,
            "step": view.step,
            "elapsed_s": round(float(view.elapsed_s), 1),
            "dose_mg": view.dose.mg,
            "procedure": view.procedure,
            "drug": view.drug,
            "series_n": view.series_n,
            "series_of": view.series_of,
            "outcome": view.outcome,
        }
        remaining = _known(view.remaining_s)
        _put(record, "remaining_s", None if remaining is None else math.floor(remaining))
        return Message(f"{self.root}/session", _ENCODE(record), 1, retain=True)

    def alarm(self, stamp: Stamp, view: AlarmView) -> Message:
        """One alarm, kept by the broker until `alarm_gone`.  Raises `TelemetryError` for a bad id."""
        record = self._envelope(stamp)
        record |= {
            "seq": view.seq,
            "id": view.id,
            "kind": view.kind,
            "priority": view.priority.name.lower(),
            "priority_n": view.priority.value,
            "phase": view.phase,
            "state": view.state,
            "active": int(view.state is AlarmState.ACTIVE),
            "latched": int(view.state is AlarmState.LATCHED),
            "inactivation": view.inactivation,
            "text": view.text,
            "unit": view.unit,
            "onset_ts": view.onset_ts_ms,
            "action": view.action,
        }
        for key, number in (("value", view.value), ("limit", view.limit)):
            _put(record, key, _known(number))
        if view.mdc:
            record["mdc"] = view.mdc
            code = EVENT_CODES.get(view.mdc)
            if code is not None:
                record["mdc_code"] = code
        return Message(self._alarm_topic(view.id), _ENCODE(record), 1, retain=True)

    def alarm_gone(self, alarm_id: str) -> Message:
        """Takes the alarm off the broker at the end of a session."""
        return Message(self._alarm_topic(alarm_id), b"", 1, retain=True)

    def alarm_summary(self, stamp: Stamp, eseq: int, alarms: Iterable[AlarmView]) -> Message:
        """How many, how urgent, and which comes first.

        A latched alarm counts for the priority, since it still asks for a person; not as active.
        """
        standing = [alarm for alarm in alarms if alarm.state is not AlarmState.INACTIVE]
        first = max(standing, key=lambda alarm: (alarm.priority, -alarm.onset_ts_ms), default=None)
        record = self._snapshot(stamp, eseq)
        record |= {
            "highest": first.priority.name.lower() if first else Priority.NONE.name.lower(),
            "highest_n": first.priority.value if first else 0,
            "active_n": sum(alarm.state is AlarmState.ACTIVE for alarm in standing),
            "latched_n": sum(alarm.state is AlarmState.LATCHED for alarm in standing),
            "text": first.text if first else "",
            "silenced": int(any(alarm.inactivation in _SILENT for alarm in standing)),
        }
        return Message(f"{self.root}/alarms/summary", _ENCODE(record), 1, retain=True)

    def event(self, record: Record, *, late: bool = False) -> Message:
        """A record of the session log.  ``late``: sent after a time without a broker (``hist`` 1)."""
        payload = _ENCODE({**record, "sim": self._simulated, "hist": int(late)})
        return Message(f"{self.root}/event", payload, 1, retain=False)

    def gap(self, stamp: Stamp, first: int, last: int) -> Message:
        """In place of the events ``first`` to ``last``, which are in the log and nowhere else."""
        record = self._envelope(stamp)
        record |= {"seq": last, "kind": "gap", "from_seq": first, "to_seq": last, "hist": 1}
        return Message(f"{self.root}/event", _ENCODE(record), 1, retain=False)

    def estop_result(self, stamp: Stamp, eseq: int, outcome: EstopOutcome) -> Message:
        """What the pump confirmed, and when.  Raises `TelemetryError` for an id `read_estop` refuses."""
        if not _REQUEST_ID.fullmatch(outcome.id):
            raise TelemetryError(f"request id {outcome.id!r} may not become part of a topic")
        record = self._snapshot(stamp, eseq)
        record |= {
            "id": outcome.id,
            "state": outcome.state,
            "confirmed": int(outcome.confirmed_ts_ms is not None),
            "requested_ts": outcome.requested_ts_ms,
        }
        _put(record, "sent_ts", outcome.sent_ts_ms)
        _put(record, "confirmed_ts", outcome.confirmed_ts_ms)
        topic = f"{self.estop_topic}/result/{outcome.id}"
        return Message(topic, _ENCODE(record), 1, retain=False)

    def _envelope(self, stamp: Stamp) -> FlatObject:
        return {
            "v": SCHEMA_VERSION,
            "ts": stamp[0],
            "mono": stamp[1],
            "boot": self.boot,
            "session": self._session,
            "sim": self._simulated,
        }

    def _snapshot(self, stamp: Stamp, eseq: int) -> FlatObject:
        return {
            "v": SCHEMA_VERSION,
            "ts": stamp[0],
            "mono": stamp[1],
            "boot": self.boot,
            "eseq": eseq,
            "session": self._session,
            "sim": self._simulated,
        }

    def _alarm_topic(self, alarm_id: str) -> str:
        if not _ALARM_ID.fullmatch(alarm_id):
            raise TelemetryError(f"alarm id {alarm_id!r} may not become part of a topic")
        return f"{self.root}/alarm/{alarm_id}"


def read_estop(payload: bytes) -> EstopRequest:
    """What stands in the body of a stop.  Total: it never raises and never says that it is no stop."""
    if not payload:
        return EstopRequest("", "")
    try:
        body = parse_flat(payload)
    except FlatJsonError as error:
        return EstopRequest("", str(error))
    request_id = body.get("id", "")
    if not isinstance(request_id, str) or (request_id and not _REQUEST_ID.fullmatch(request_id)):
        return EstopRequest("", "id is not 1 to 36 of A-Z, a-z, 0-9 and -")
    unknown = sorted(body.keys() - _ESTOP_KEYS)
    return EstopRequest(request_id, f"unknown key {unknown[0]!r}" if unknown else "")


def mmhg(pressure_pa: float) -> float:
    """Pascals as mmHg with the one decimal that is claimed for them."""
    return round(pressure_pa / PA_PER_MMHG, 1)


def _pump_fields(sample: PumpSample) -> FlatObject:
    """What the sample says; the envelope is not part of it."""
    record: FlatObject = {}
    state = sample.state if sample.link else PumpState.UNKNOWN
    rate = sample.rate if sample.link else None
    volume = sample.volume if sample.link else None
    concentration = sample.concentration
    known = state is not PumpState.UNKNOWN
    _put(record, "infusing", int(state is PumpState.RUNNING) if known else None)
    record["state"] = _STATE_TEXT[state]
    record["state_n"] = _STATE_NUMBER[state]
    record["drug"] = sample.drug
    record["conc_mg_ml"] = concentration.mg_ml
    record["rate_set_ml_h"] = sample.rate_set.ml_h
    if rate is None:
        record["rate_ml_h_ok"] = record["dose_rate_mg_min_ok"] = 0
    else:
        _put(record, "rate_ml_h", rate.ml_h)
        _put(record, "dose_rate_mg_min", rate.nl_h * concentration.ug_ml / _UG_NL_MIN)
    if volume is None:
        record["volume_ml_ok"] = record["dose_mg_ok"] = 0
    else:
        _put(record, "volume_ml", volume.ml)
        _put(record, "dose_mg", volume.mass_at(concentration).mg)
    _put(record, "vtbi_ml", None if sample.vtbi is None else sample.vtbi.ml)
    _put_remaining(record, sample.vtbi, volume, rate)
    pressure = sample.pressure_pa if sample.link else None
    _put(record, "pressure_mmhg", None if pressure is None else mmhg(pressure))
    _put(record, "battery_pct", _known(sample.battery_pct) if sample.link else None)
    record["link_ok"] = int(sample.link)
    return record


def _put(record: FlatObject, key: str, value: Scalar | None) -> None:
    if value is None:
        record[key + "_ok"] = 0
    else:
        record[key] = value
        record[key + "_ok"] = 1


def _put_remaining(
    record: FlatObject, vtbi: Volume | None, volume: Volume | None, rate: Rate | None
) -> None:
    """What is left, and for how long at this rate: unknown at rest unless nothing is left."""
    if vtbi is None or volume is None:
        record["remaining_ml_ok"] = record["remaining_s_ok"] = 0
        return
    left = vtbi.less(volume)
    _put(record, "remaining_ml", left.ml)
    if rate is not None and rate.nl_h:
        _put(record, "remaining_s", left.nl * 3600 // rate.nl_h)
    else:
        _put(record, "remaining_s", None if left.nl else 0)


def _known(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _add_finite(record: FlatObject, values: Mapping[str, Scalar]) -> None:
    for key, value in values.items():
        if not isinstance(value, float) or math.isfinite(value):
            record[key] = value


_ENCODE = msgspec.json.Encoder().encode
_UG_NL_MIN = 60 * 10**9  # (nL/h) x (ug/mL) = 10^-6 ug/h, in mg/min
_STATE_TEXT = {
    PumpState.UNKNOWN: "unknown",
    PumpState.STOPPED: "stopped",
    PumpState.RUNNING: "infusing",
    PumpState.PAUSED: "paused",
    PumpState.COMPLETED: "completed",
    PumpState.ALARM: "alarm",
}
_STATE_NUMBER = {state: number for number, state in enumerate(_STATE_TEXT)}
_SILENT = frozenset(
    (
        Inactivation.AUDIO_PAUSED,
        Inactivation.AUDIO_OFF,
        Inactivation.ALARM_PAUSED,
        Inactivation.ALARM_OFF,
    )
)
_ESTOP_KEYS = frozenset(("v", "id", "ts", "boot", "source"))
_VITAL_KEYS = tuple((metric.key, f"{metric.key}_ok", metric.decimals) for metric in VITALS)
METRIC_TABLE = [describe(metric) for metric in METRICS]
SCHEMA_HASH = hashlib.sha256(_ENCODE(METRIC_TABLE)).hexdigest()
