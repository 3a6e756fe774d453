"""The live view: whole visits shown on a terminal and in a pipe, in virtual time."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from controller.alarm_board import Alarm
from controller.cli.options import make_operator
from controller.cli.prompt import PromptOperator
from controller.cli.rehearsal import MakeOperator, Stage
from controller.cli.screen import Screen, clock, plain
from controller.plan import load_plan
from controller.procedure.effects import RaiseAlarm
from controller.procedure.questions import Question
from controller.procedure.table import State
from controller.runner import Observer, Runner
from firmware_bridge.messages import Snapshot
from firmware_bridge.notice import NOTICE
from hil_tests.real.glass import Glass
from sim.virtual_loop import run_virtual

PLAN = load_plan("ketamine-first-visit")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LINE = re.compile(r"\d+:\d\d:\d\d  \S")
AUTO = make_operator("auto")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        """Everything that was ever shown, without colours and cursor moves."""
        return ESCAPE.sub("", self.getvalue())


@pytest.fixture(autouse=True)
def ordinary_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")


class Painter(Observer):
    """Draws whenever something has changed, and at every hundredth report of the pump."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._reports = 0

    def state_changed(self, runner: Runner, previous: State) -> None:
        self._screen.draw(runner)

    def question_changed(self, runner: Runner) -> None:
        self._screen.draw(runner)

    def alarm_changed(self, runner: Runner, alarm: Alarm) -> None:
        self._screen.draw(runner)

    def pump_seen(self, runner: Runner, snapshot: Snapshot) -> None:
        self._reports += 1
        if self._reports % 100 == 1:
            self._screen.draw(runner)


def screen_on(out: io.StringIO, prompt: PromptOperator | None = None) -> Screen:
    return Screen(device="bench-1", procedure=PLAN.name, prompt=prompt, out=out)


def show(
    screen: Screen,
    operator: MakeOperator,
    *,
    stop_after_s: float | None = None,
    others: tuple[Observer, ...] = (),
) -> None:
    """One visit from beginning to end, shown on the screen."""

    def begin(runner: Runner) -> None:
        screen.draw(runner)  # before anything is known of pump and patient
        if stop_after_s is not None:
            runner.loop.call_later(stop_after_s, runner.stop_now, "operator")

    stage = Stage(PLAN, 1, operator, observers=(screen, Painter(screen), *others), on_runner=begin)
    screen.open()
    try:
        run_virtual(stage.run, seed=1, budget_s=12 * 3_600)
    finally:
        screen.close()
        screen.close()


def alarm(text: str, *, active: bool) -> Alarm:
    phase = "start" if active else "end"
    return Alarm("link_lost", text, None, None, "", 0, active=active, phase=phase)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00:00"), (59.9, "0:00:59"), (61, "0:01:01"), (36_061, "10:01:01"), (-5, "0:00:00")],
)
def test_time_is_shown_as_on_a_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_in_a_pipe_there_are_plain_lines_and_nothing_else() -> None:
    out = io.StringIO()
    show(screen_on(out), AUTO)
    first, *lines = out.getvalue().splitlines()
    assert first == f"infusor: {NOTICE}"
    assert "\x1b" not in out.getvalue()
    assert all(LINE.match(line) for line in lines)
    for words in ("observing -> infusing", "  dose: what ordered", "  response: ", "  confirmed: "):
        assert any(words in line for line in lines)
    assert not any("  sample: " in line for line in lines)
    assert lines[-1].endswith("recovering -> discharged")


def test_on_a_terminal_state_pump_vitals_and_notice_are_drawn_anew_and_the_lines_stay() -> None:
    out = Terminal()
    show(screen_on(out), AUTO)
    shown = out.text
    assert "pump: no report yet" in shown
    assert "vitals: none yet" in shown
    for words in (NOTICE, "bench-1  S-0001", PLAN.name, "mL/h", "HR ", "SpO2 ", "s old)", " left"):
        assert words in shown
    for state in (State.BASELINE, State.TEST_BOLUS, State.INFUSING, State.RECOVERING):
        assert f"{state} " in shown
    assert "observing -> infusing" in shown
    assert out.getvalue().count("\x1b[?25l") == out.getvalue().count("\x1b[?25h") == 1


def test_a_question_is_shown_in_a_pipe_with_what_may_be_answered() -> None:
    out, prompt = io.StringIO(), PromptOperator()
    screen = screen_on(out, prompt)
    prompt.speak_through(screen.say)
    show(screen, lambda _draw: prompt, stop_after_s=60)
    lines = out.getvalue().splitlines()
    assert lines.count("  yes / no") == 1
    assert any(line.endswith("-> emergency_stopped") for line in lines)


def test_each_question_is_said_once_in_a_pipe_in_the_order_of_asking() -> None:
    class Person(PromptOperator):
        """Says yes a second after each question."""

        def ask(self, question: Question, runner: Runner) -> None:
            super().ask(question, runner)
            runner.loop.call_later(1, self.line, "yes")

    out, prompt = io.StringIO(), Person()
    screen = screen_on(out, prompt)
    prompt.speak_through(screen.say)
    show(screen, lambda _draw: prompt, stop_after_s=20)
    asked = [line for line in out.getvalue().splitlines() if line.startswith("Checklist ")]
    said = [line.partition(": ")[2] for line in asked]
    assert said[:-2] == [item.text for item in PLAN.checklist[:-2]]
    assert said[-1].startswith("Syringe: ketamine 10 mg/mL, 20 mL in a BD 20 mL; ")


def test_a_question_is_shown_on_a_terminal_with_what_is_being_typed() -> None:
    out, prompt = Terminal(), PromptOperator()
    screen = screen_on(out, prompt)
    screen.typed("ye\x1b[2J")
    show(screen, lambda _draw: prompt, stop_after_s=60)
    assert "yes / no" in out.text
    assert "> ye?[2J_" in out.text


class Small(Terminal):
    """A terminal on which hardly anything has room."""

    @property
    def glass(self) -> str:
        glass = Glass(80, 12)
        glass.show(self.getvalue().replace("\n", "\r\n"))
        return glass.visible


def test_on_a_small_terminal_what_must_be_typed_and_the_kind_words_stay_in_sight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "12")
    out, prompt, seen = Small(), PromptOperator(), list[str]()
    screen = screen_on(out, prompt)
    prompt.speak_through(screen.hint)

    class Look(Observer):
        """Types a wrong word once scores are asked for, and looks at the glass."""

        def question_changed(self, runner: Runner) -> None:
            asked = prompt.current
            if asked is not None and asked.kind == "baseline_scores" and not seen:
                runner.loop.call_later(2, prompt.line, "3,5")
                runner.loop.call_later(3, screen.draw, runner)
                runner.loop.call_later(4, lambda: seen.append(out.glass))
            elif asked is not None and asked.kind == "checklist":
                runner.loop.call_later(1, prompt.line, "yes")

    show(screen, lambda _draw: prompt, stop_after_s=60, others=(Look(),))
    [glass] = seen
    assert "'3,5' is not a number" in glass
    assert "pain_0_10 (0 to 10 points)" in glass
    assert "> _" in glass
    assert "(the whole question stands above)" in glass
    assert "Next: the test bolus is proposed" in out.text


def test_an_alarm_is_a_line_when_it_comes_and_when_it_is_over() -> None:
    class Trouble(Observer):
        """Has an alarm shown as the runner would."""

        def state_changed(self, runner: Runner, previous: State) -> None:
            if runner.state is State.BASELINE:
                raised = RaiseAlarm("link_lost", "no answer\x07 from the pump")
                runner.alarms.raise_alarm(raised, 0)
                screen.alarm_changed(runner, alarm(raised.text, active=True))
                screen.draw(runner)
                screen.alarm_changed(runner, alarm(raised.text, active=False))

    out = Terminal()
    screen = screen_on(out)
    show(screen, AUTO, stop_after_s=120, others=(Trouble(),))
    assert "ALARM link_lost (high): no answer? from the pump" in out.text
    assert " ALARM  no answer? from the pump " in out.text
    assert "alarm link_lost over, latched until acknowledged: type ack" in out.text


@pytest.mark.parametrize("name", ["a[/b]", "[bold]x", "x\x1b[2J\ny"])
def test_a_name_is_shown_as_it_is_and_means_nothing_else(name: str) -> None:
    out = Terminal()
    screen = Screen(device="bench-1", procedure=name, prompt=None, out=out)
    show(screen, AUTO, stop_after_s=20)
    shown = name.replace("\x1b", "?").partition("\n")[0]
    assert f"bench-1  S-0001  {shown}" in out.text


def test_what_a_question_holds_cannot_command_the_terminal() -> None:
    class Odd(PromptOperator):
        def ask(self, question: Question, runner: Runner) -> None:
            super().ask(replace(question, text="give\x1b[2J [/b] it?"), runner)

    out, prompt = Terminal(), Odd()
    show(screen_on(out, prompt), lambda _draw: prompt, stop_after_s=20)
    assert "give?[2J [/b] it?" in out.text


def test_a_picture_that_cannot_be_drawn_ends_the_picture_and_not_the_visit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_screen: Screen, _runner: Runner) -> str:
        raise ValueError("cannot be drawn")

    monkeypatch.setattr(Screen, "_panel", broken)
    out = Terminal()
    show(screen_on(out), AUTO, stop_after_s=60)
    assert out.text.count("cannot be drawn") == 1
    assert "-> emergency_stopped" in out.text
    assert out.getvalue().count("\x1b[?25l") == out.getvalue().count("\x1b[?25h") == 1


@pytest.mark.parametrize("text", ["\x1b[2J", "\x9b2J", "\r", "\x00", "\u202e"])
def test_nothing_that_commands_a_terminal_is_passed_on(text: str) -> None:
    assert plain(f"a{text}b\nc").isprintable() is False  # the line end
    assert all(letter.isprintable() for letter in plain(f"a{text}b"))


def test_words_of_any_language_are_left_as_they_are() -> None:
    assert (
        plain("Ketamin 7,5 mg, µg, 注射\nzweite Zeile") == "Ketamin 7,5 mg, µg, 注射\nzweite Zeile"
    )
