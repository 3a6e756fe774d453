"""The live view of a visit in a terminal, and its plain lines in a pipe.

Above: what happened, one line each, which stays in the scroll-back.  Below: a panel that is drawn anew
four times a second: state and progress, pump, vitals with their age, alarms, the open question.  It
reads the runner and changes nothing.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from controller.alarm_board import Alarm
from controller.phase import phase_of
from controller.procedure.effects import Scalar
from controller.procedure.table import State
from controller.runner import Observer, Runner
from controller.wording import quantity
from firmware_bridge.notice import NOTICE

if TYPE_CHECKING:
    from controller.cli.prompt import PromptOperator
    from controller.procedure.questions import Question

VITALS = (
    ("hr_bpm", "HR", "bpm"),
    ("spo2_pct", "SpO2", "%"),
    ("nibp_sys_mmhg", "SBP", "mmHg"),
    ("nibp_dia_mmhg", "DBP", "mmHg"),
    ("rr_bpm", "RR", "/min"),
    ("etco2_mmhg", "EtCO2", "mmHg"),
)
ALARMS_SHOWN = 4
STYLE = {3: "bold white on red", 2: "bold black on yellow", 1: "cyan"}
TOLD = {
    "arithmetic",
    "confirmed",
    "dose",
    "latch_not_written",
    "not_confirmed",
    "refused",
    "rescue",
    "response",
    "self_test",
    "stop_never_confirmed",
}
"""Kinds of record that are worth a line of their own."""


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    whole = int(max(0.0, seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def plain(text: str) -> str:
    """The text without what could command a terminal: a pump or a monitor may have put it there."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


class Screen(Observer):
    """Shows one visit.  `draw` is called by whoever owns the time; nothing here keeps a timer."""

    def __init__(
        self,
        *,
        device: str,
        procedure: str,
        prompt: PromptOperator | None,
        out: TextIO = sys.stderr,
    ) -> None:
        self._console = Console(file=out, highlight=False, soft_wrap=not out.isatty())
        self._device = device
        self._procedure = procedure
        self._prompt = prompt
        self._typed = ""
        self._live: Live | None = None
        self._asked = 0
        self._hint = (0, "")

    @property
    def is_live(self) -> bool:
        """Whether this is a terminal that can be drawn on."""
        return self._console.is_terminal

    def open(self) -> None:
        """Say what this is; from now on, draw."""
        self.say(f"infusor: {NOTICE}", "bold")
        if self.is_live:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()

    def close(self) -> None:
        """Leave the terminal as it was.  Idempotent."""
        if self._live is not None:
            with contextlib.suppress(OSError):
                self._live.stop()
            self._live = None

    def say(self, text: str, style: str = "") -> None:
        """One line that stays.  A terminal that has gone shows nothing, and that is all it does."""
        with contextlib.suppress(OSError):
            self._console.print(Text(plain(text), style=style))

    def hint(self, text: str) -> None:
        """Kind words to whoever types: beside the question they are about, until it is another."""
        if self._live is None or self._prompt is None:
            self.say(text)
            return
        question = self._prompt.current
        self._hint = question.id if question else 0, "" if text == self._prompt.wanted else text

    def typed(self, text: str) -> None:
        """What stands on the input line."""
        self._typed = text

    def draw(self, runner: Runner) -> None:
        """Show how things stand now."""
        if self._live is None:
            return
        try:
            self._live.update(self._panel(runner), refresh=True)
        except OSError:
            pass  # the terminal has gone
        except Exception as error:  # noqa: BLE001 - a picture that cannot be drawn must end no visit
            self.close()
            self.say(f"the live view is gone, lines go on: {error!r}", "yellow")

    # --- what happens -------------------------------------------------------------------------------

    def state_changed(self, runner: Runner, previous: State) -> None:
        reason = runner.visit.chart.hold_reason if runner.state is State.HOLDING else ""
        self._line(runner, f"{previous} -> {runner.state}{f': {reason}' if reason else ''}", "bold")

    def alarm_changed(self, runner: Runner, alarm: Alarm) -> None:
        if alarm.phase == "acknowledged":
            self._line(runner, f"alarm {alarm.id} acknowledged by {alarm.by}: {alarm.state}")
        elif alarm.active:
            text = f"ALARM {alarm.id} ({alarm.priority}): {alarm.text}"
            self._line(runner, text, STYLE[alarm.rank])
        else:
            asks = " until acknowledged: type ack" if alarm.latched else ""
            self._line(runner, f"alarm {alarm.id} over, {alarm.state}{asks}: {alarm.text}")

    def recorded(self, runner: Runner, kind: str, data: Mapping[str, Scalar]) -> None:
        if kind in TOLD and data.get("status") != "running":
            told = (quantity(key, value) for key, value in data.items() if value is not None)
            words = ", ".join(f"{name} {shown}" for name, shown in told if shown)
            self._line(runner, f"{kind}: {words}", "dim")

    def question_changed(self, runner: Runner) -> None:
        if self._prompt is not None and self._live is None:
            question = self._prompt.current
            asked = question.id if question is not None else 0
            if question is not None and asked != self._asked:
                self.say(f"{question.text}\n  {self._prompt.wanted}")
            self._asked = asked

    def _line(self, runner: Runner, text: str, style: str = "") -> None:
        self.say(f"{clock(runner.loop.time() - runner.started_at)}  {text}", style)

    # --- the panel ----------------------------------------------------------------------------------

    def _panel(self, runner: Runner) -> RenderableType:
        """The panel, in as many rows as there are: alarms go first, then the middle of a question.

        What must be typed stays in sight.  A question that was cut is said once as a whole above.
        """
        panel = self._composed(runner, ALARMS_SHOWN, None)
        if self._over(panel) and self._prompt is not None:
            panel = self._composed(runner, 1, None)
            question = self._prompt.current
            lines = len(question.text.splitlines()) if question else 0
            while self._over(panel) and lines > 1:
                lines -= 1
                panel = self._composed(runner, 1, lines)
                self._say_whole(question)
        return panel

    def _over(self, panel: RenderableType) -> bool:
        rows = self._console.render_lines(panel, self._console.options, pad=False)
        return len(rows) > self._console.height

    def _say_whole(self, question: Question | None) -> None:
        if question is not None and question.id != self._asked:
            self._asked = question.id
            self.say(question.text)

    def _composed(self, runner: Runner, alarms_shown: int, lines: int | None) -> RenderableType:
        alarms = runner.alarms.listed()
        parts: list[RenderableType] = [
            self._state(runner),
            self._pump(runner),
            self._vitals(runner),
        ]
        parts += [
            Text(
                f" {'ALARM' if a.active else 'latched, type ack'}"
                f"{' (seen)' if a.acknowledged else ''}  {plain(a.text)} ",
                STYLE[a.rank] if a.active else "dim",
            )
            for a in alarms[:alarms_shown]
        ]
        if len(alarms) > alarms_shown:
            parts.append(Text(f" and {len(alarms) - alarms_shown} more", "dim"))
        if self._prompt is not None:
            parts.append(self._question(self._prompt, lines))
        title = f"infusor  {self._device}  {runner.log.session}  {self._procedure}"
        return Panel(Group(*parts), title=Text(plain(title)), subtitle=NOTICE, title_align="left")

    def _state(self, runner: Runner) -> RenderableType:
        phase = phase_of(runner)
        row = Table.grid(padding=(0, 2))
        cells: list[RenderableType] = [Text(runner.state.value, style="bold")]
        cells.append(Text(clock(phase.elapsed_s)))
        if phase.planned_s:
            cells.append(ProgressBar(phase.planned_s, min(phase.elapsed_s, phase.planned_s), 40))
            cells.append(Text(f"{clock(phase.left_s or 0)} left"))
        row.add_row(*cells)
        return row

    def _pump(self, runner: Runner) -> RenderableType:
        snapshot = runner.hand.snapshot
        account = runner.visit.account
        given = account.delivered.mass_at(account.concentration)
        if snapshot is None:
            return Text("pump: no report yet", style="yellow")
        last = account.last
        target = f" of {last.volume}" if last else ""
        return Text(
            f"pump {snapshot.state.name.lower()}  {snapshot.rate.ml_h:.2f} mL/h  "
            f"{snapshot.infused.ml:.3f} mL{target}  |  visit {given.mg:.2f} mg {runner.visit.plan.drug}"
        )

    def _vitals(self, runner: Runner) -> RenderableType:
        if runner.vitals_at is None:
            return Text("vitals: none yet", style="yellow")
        age = runner.loop.time() - runner.vitals_at
        late = age > runner.visit.bounds.data_age_s
        cells = [
            f"{label} {value:g} {unit}"
            if isinstance(value := runner.vitals.get(key), int | float)
            else f"{label} ---"
            for key, label, unit in VITALS
        ]
        return Text(f"{'  '.join(cells)}  ({age:.0f} s old)", style="red" if late else "")

    def _question(self, prompt: PromptOperator, lines: int | None) -> RenderableType:
        question = prompt.current
        head = _cut(question.text if question else "", lines)
        parts = [Text(plain(head), style="bold cyan")]
        about, words = self._hint
        if words and about == (question.id if question else 0):
            parts.append(Text(plain(words), style="yellow"))
        parts.append(Text(f"{prompt.wanted}\n> {plain(self._typed)}_"))
        return Group(*parts)


def _cut(text: str, lines: int | None) -> str:
    """The text, or its first and last lines where there is room for ``lines`` only."""
    whole = text.splitlines()
    if lines is None or len(whole) <= lines:
        return text
    first, last = (lines + 1) // 2, lines // 2
    return "\n".join(
        (*whole[:first], "(the whole question stands above)", *whole[len(whole) - last :])
    )
