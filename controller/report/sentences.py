"""One sentence for every kind of record: what a person answered, what the pump did, what the program found.

A kind that has no sentence of its own is told with everything it says, so nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from controller.flat_json import Scalar
from controller.log_format import RESERVED, Kind, Record
from controller.reading import number_in, text_in, words
from controller.report.alarms import is_acknowledgement
from controller.report.part_doses import USES
from controller.report.story import Moment
from controller.wording import number, quantity, unit_text

TOKEN = re.compile(r"(?P<use>[a-z_]+)-\d+-(?P<nl>\d{1,15})nL-(?P<nl_h>\d{1,15})nL/h")
"""What a confirmation is bound to (`controller.procedure.questions`)."""

FLAGS = ("_ok", "_present", "_given")
"""Endings of the names of scores that are 1 for yes and 0 for no."""


def sentence(moment: Moment) -> str:
    """What this record says, as people say it."""
    say = _SENTENCES.get(moment.kind)
    return say(moment) if say else _plain(moment)


def _plain(moment: Moment) -> str:
    """The kind, and everything the record says: for kinds that have no sentence of their own."""
    rest = _facts(moment)
    kind = words(moment.kind).capitalize()
    return f"{kind}: {rest}" if rest else kind


def _facts(moment: Moment, *told: str) -> str:
    """Whatever the record says besides ``told``, each value with its unit."""
    known = {*RESERVED, "by", *told}
    found = (_fact(key, value) for key, value in moment.record.items() if key not in known)
    return ", ".join(filter(None, found))


def _fact(key: str, value: Scalar) -> str:
    if key.endswith(FLAGS) and value in {0, 1}:
        key, value = key.removesuffix("_ok"), bool(value)
    name, shown = quantity(key, value)
    return f"{name} {shown}" if shown else ""


def _dose(moment: Moment) -> str:
    record, what = moment.record, words(text_in(moment.record, "what"))
    use = USES.get(text_in(record, "use"), words(text_in(record, "use")).capitalize() or "Dose")
    status = text_in(record, "status")
    ending = f", {words(status)}" if status else ""
    return f"{use} {what}: {_amounts(record)}{ending}"


def _amounts(record: Record) -> str:
    mg, ml = number_in(record, "dose_mg"), number_in(record, "volume_ml")
    rate = number_in(record, "rate_ml_h")
    return " ".join(
        filter(
            None,
            (
                "" if mg is None else f"{mg:.2f} mg",
                "" if ml is None else f"= {ml:.3f} mL",
                "" if rate is None else f"at {rate:.3f} mL/h",
            ),
        )
    )


def _alarm(moment: Moment) -> str:
    record = moment.record
    text = text_in(record, "text") or text_in(record, "alarm")
    if is_acknowledgement(moment):
        return f"Acknowledged: {text}"
    unit = unit_text(text_in(record, "unit"))
    found = [
        f"{key} {number(value)} {unit}".strip()
        for key in ("value", "limit")
        if (value := number_in(record, key)) is not None
    ]
    return f"{text} ({', '.join(found)})" if found and record.get("active") is not False else text


def _self_test(moment: Moment) -> str:
    if "step" in moment.record:
        return f"Self-test: {text_in(moment.record, 'step')}"
    verdict = "passed" if moment.record.get("ok") is True else "FAILED"
    return f"Self-test {verdict}, findings below"


def _response(moment: Moment) -> str:
    said = f"Response: {text_in(moment.record, 'response')}"
    return ", ".join(filter(None, (said, _facts(moment, "response"))))


def _confirmed(moment: Moment) -> str:
    """The token is bound to exact values, so they can be read from it."""
    token = text_in(moment.record, "token")
    found = TOKEN.fullmatch(token)
    if found is None:
        return f"Confirmed: {token}"
    use = USES.get(found["use"], words(found["use"]).capitalize())
    ml, ml_h = int(found["nl"]) / 1e6, int(found["nl_h"]) / 1e6
    return f"{use} confirmed: exactly {ml:.3f} mL at {ml_h:.3f} mL/h"


def _bridge(moment: Moment) -> str:
    return ", ".join(
        filter(None, (f"Bridge: {text_in(moment.record, 'what')}", _facts(moment, "what")))
    )


def _bridge_log(moment: Moment) -> str:
    return f"Bridge: {text_in(moment.record, 'line').removeprefix('bridge: ')}"


def _pump(moment: Moment) -> str:
    return f"The pump says it is {text_in(moment.record, 'firmware') or 'nameless'}"


def asked(moment: Moment) -> str:
    """The sentence of the checklist that was answered; its name where the record has none."""
    item = words(text_in(moment.record, "item")).capitalize()
    return text_in(moment.record, "text") or item


def _checklist(moment: Moment) -> str:
    return f"{asked(moment)}: {text_in(moment.record, 'choice') or 'no answer'}"


def _line(moment: Moment) -> str:
    return text_in(moment.record, "line")


def _text(moment: Moment) -> str:
    """What the person was told to do."""
    text = text_in(moment.record, "text")
    return text[:1].upper() + text[1:]


def _choice(moment: Moment) -> str:
    """An answer that was given while delivery ran, or while it was held."""
    choice = words(text_in(moment.record, "choice"))
    return f"{words(moment.kind).capitalize()}: {choice}"


def _hold(moment: Moment) -> str:
    return f"Delivery is held: {text_in(moment.record, 'reason')}"


def _stop(moment: Moment) -> str:
    if moment.record.get("confirmed") is True:
        return "Stop confirmed: the pump's own count stands still"
    return f"STOP NOT CONFIRMED: {text_in(moment.record, 'why') or 'the pump does not say so'}"


def _refused(moment: Moment) -> str:
    what, why = words(text_in(moment.record, "what")), text_in(moment.record, "why")
    return f"{what.capitalize()} refused: {why}" if what else f"Refused: {why}"


def _not_confirmed(moment: Moment) -> str:
    return f"Not confirmed: {words(text_in(moment.record, 'reason'))}"


def _signs(moment: Moment) -> str:
    sign = words(text_in(moment.record, "sign"))
    severe = ", severe" if moment.record.get("severe") is True else ""
    return f"Signs asked for: {sign or 'no answer'}{severe}"


def _rescue(moment: Moment) -> str:
    """The drug that a person gave by hand, this time and in all."""
    record = moment.record
    drug, choice = text_in(record, "drug").capitalize() or "Rescue drug", text_in(record, "choice")
    rest = _facts(moment, "drug", "choice", "number")
    which = number_in(record, "number")
    time = f", dose {which:.0f}" if which is not None else ""
    return f"{drug} {choice}{time}{f': {rest}' if rest else ''}"


def _recovered(moment: Moment) -> str:
    record = moment.record
    kept = number_in(record, "believed") or 0.0
    lost = number_in(record, "tail_bytes") or 0.0
    tail = f", {lost:.0f} damaged bytes kept beside it" if lost else ""
    return f"A new controller took over: {kept:.0f} records of the log believed{tail}"


def _interrupted(moment: Moment) -> str:
    return f"Interrupted while {words(text_in(moment.record, 'state'))}: nothing goes on by itself"


def _identity(moment: Moment) -> str:
    return f"The pump is {text_in(moment.record, 'pump') or 'nameless'}"


def _aborting(moment: Moment) -> str:
    return f"Given up: {text_in(moment.record, 'reason')}"


def _finished(moment: Moment) -> str:
    """How it ended and what was delivered; the scores stand in their own table."""
    record = moment.record
    reason = text_in(record, "reason")
    parts = [
        f"Finished: {words(text_in(record, 'outcome')) or 'nobody said how'}",
        reason,
        _delivered(record),
    ]
    return ", ".join(filter(None, parts))


def _delivered(record: Record) -> str:
    mg, ml = number_in(record, "delivered_mg"), number_in(record, "delivered_ml")
    return "" if mg is None or ml is None else f"delivered {mg:.2f} mg = {ml:.3f} mL"


_SENTENCES: dict[str, Callable[[Moment], str]] = {
    Kind.DOSE: _dose,
    Kind.ALARM: _alarm,
    Kind.RECOVERED: _recovered,
    "aborting": _aborting,
    "arithmetic": _line,
    "bridge": _bridge,
    "bridge_log": _bridge_log,
    "checklist": _checklist,
    "confirmed": _confirmed,
    "finished": _finished,
    "hold": _hold,
    "holding": _choice,
    "identity": _identity,
    "interrupted": _interrupted,
    "not_confirmed": _not_confirmed,
    "prompt": _text,
    "pump": _pump,
    "refused": _refused,
    "rescue": _rescue,
    "response": _response,
    "self_test": _self_test,
    "signs": _signs,
    "stop": _stop,
    "supervise": _choice,
}
