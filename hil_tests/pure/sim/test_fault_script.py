"""Fault scripts: what is written is what is understood, and everything else is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.faults.kinds import KINDS
from sim.faults.script import (
    AfterVolume,
    AtTime,
    Entry,
    InState,
    NthCommand,
    Perhaps,
    Possible,
    ScriptError,
    When,
    parse_script,
    read_script,
)

ALL = Possible("a bench", tuple(KINDS), ("infusing", "test_bolus"), ("spo2_pct",))


def parsed(text: str, possible: Possible = ALL) -> list[Entry]:
    return parse_script(text, "f.toml", possible)


def fault(*lines: str) -> str:
    return "\n".join(("[[fault]]", *lines, ""))


@pytest.mark.parametrize(
    ("line", "trigger"),
    [
        ("at_s = 1200.5", AtTime(1200.5)),
        ('in = "infusing"', InState("infusing", 0.0)),
        ('in = "infusing"\nafter_s = 3', InState("infusing", 3.0)),
        ("after_ml = 2.5", AfterVolume(2_500_000)),
        ("nth_command = 40", NthCommand(40, "")),
        ('nth_command = 2\ncommand = "STP"', NthCommand(2, "STP")),
        ('when = {signal = "spo2_pct", below = 90}', When("spo2_pct", None, 90.0)),
        ("probability = 0.25", Perhaps(0.25)),
    ],
)
def test_every_trigger_is_understood(line: str, trigger: object) -> None:
    [entry] = parsed(fault(line, 'kind = "mute"'))
    assert entry == Entry(1, "mute", {}, trigger)  # type: ignore[arg-type]  # any of the union


def test_durations_repeats_and_parameters_with_their_defaults() -> None:
    text = fault("at_s = 1", 'kind = "stall"', "for_s = 2", "repeat = 3", "every_s = 10")
    text += fault("at_s = 1", 'kind = "mute"', "for_commands = 2")
    text += fault("at_s = 1", 'kind = "frame_drop"', "for_commands = 2")
    text += fault("at_s = 1", 'kind = "byte_drop"', "probability = 0.5")
    stall, mute, drop, bytes_ = parsed(text)
    assert (stall.for_s, stall.repeat, stall.every_s) == (2.0, 3, 10.0)
    assert (mute.for_commands, mute.parameters) == (2, {})
    assert drop.for_commands is None
    assert drop.parameters == {"direction": "from_pump", "for_commands": 2}
    assert (bytes_.trigger, bytes_.parameters["probability"]) == (AtTime(1.0), 0.5)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["kind = 'mute'"], "exactly one trigger is needed, there is none"),
        (["kind = 'mute'", "at_s = 1", "after_ml = 1"], "there is at_s and after_ml"),
        (["at_s = 1"], "kind = None must be a text"),
        (["at_s = 1", "kind = 'explode'"], "'explode' does not exist; there are"),
        (["at_s = -1", "kind = 'mute'"], "at_s = -1 must be in 0..1e+07"),
        (["at_s = nan", "kind = 'mute'"], "at_s = nan must be in"),
        (["at_s = true", "kind = 'mute'"], "at_s = True must be in"),
        (["nth_command = 0", "kind = 'mute'"], "must be a whole number in 1.."),
        (["in = 'asleep'", "kind = 'mute'"], "'asleep': no such state; there are infusing"),
        (["when = {signal='hr'}", "kind = 'mute'"], "exactly one of above and below"),
        (["when = {signal='hr', above=1}", "kind = 'mute'"], "'hr': there are spo2_pct"),
        (["when = {signal='spo2_pct', above=1, x=2}", "kind = 'mute'"], "unknown key 'x'"),
        (["when = 3", "kind = 'mute'"], "must be a table"),
        (["at_s = 1", "kind = 'mute'", "loud = 1"], "no parameter 'loud'"),
        (["at_s = 1", "kind = 'mute'", "loud = []"], "is no number and no text"),
        (["at_s = 1", "kind = 'reply_delay'", "delay_ms = -5"], "cannot be -5"),
        (["at_s = 1", "kind = 'mute'", "for_s = 1", "for_commands = 1"], "one of the two"),
        (["at_s = 1", "kind = 'reboot'", "for_s = 1"], "reboot is over at once; no for_s"),
        (["at_s = 1", "kind = 'mute'", "repeat = 1"], "belong together"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_number_and_key(lines: list[str], said: str) -> None:
    good = fault("at_s = 1", 'kind = "mute"')
    with pytest.raises(ScriptError) as refused:
        parsed(good + fault(*lines))
    assert str(refused.value).startswith("f.toml: fault 2: ")
    assert said in str(refused.value)


def test_a_kind_that_the_run_cannot_do_is_refused_with_what_it_can() -> None:
    possible = Possible("a pump without a line", ("mute",))
    with pytest.raises(
        ScriptError, match=r"'stall' cannot be done to a pump without a line, .*; it can do mute"
    ):
        parsed(fault("at_s = 1", 'kind = "stall"'), possible)
    with pytest.raises(ScriptError, match="there are none in a pump without a line"):
        parsed(fault("in = 'infusing'", 'kind = "mute"'), possible)


@pytest.mark.parametrize("text", ["fault = 1", "[other]\n", "[[fault]", "fault = [1]", "a = 1"])
def test_what_is_no_script_is_refused(text: str) -> None:
    with pytest.raises(ScriptError, match=r"^f\.toml: "):
        parsed(text)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="No such file"):
        read_script(tmp_path / "none.toml", ALL)
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ScriptError, match="utf-8"):
        read_script(tmp_path / "x.toml", ALL)


VALUES = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.sampled_from(["mute", "stall", "infusing", ""])
)
KEYS = ["kind", "at_s", "in", "after_s", "after_ml", "nth_command", "command", "when"]
KEYS += ["probability", "for_s", "for_commands", "repeat", "every_s", "direction", "odd"]


def written(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
def test_any_table_is_a_fault_or_refused(table: dict[str, object]) -> None:
    lines = [f"{key} = {written(value)}" for key, value in table.items()]
    try:
        [entry] = parsed(fault(*lines))
    except ScriptError:
        return
    assert entry.kind == table["kind"]
