"""A scripted pump that speaks lines, and the host's side of those lines.

STOP, READ, ID, SYRINGE, LEASE, RUN rate target, RATE, PAUSE, RESUME, TRIP, RESTORE: a wire can be read
in a failure message.  Everything a test wants to go wrong is a knob of `LinePump`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from firmware_bridge.dialect import (
    Accepted,
    Ask,
    Frame,
    Identity,
    Limits,
    Listen,
    Program,
    Reading,
    Syringe,
)
from firmware_bridge.errors import LinkError, NoAnswer, PumpInAlarm, PumpRefused, UncertainDelivery
from firmware_bridge.messages import Capability, PumpAlarm, PumpState
from firmware_bridge.quantities import Duration, Rate, Volume
from firmware_bridge.transports.memory import MemoryTransport

WITHIN = Duration(200)


class LinePump:
    """The pump: obeys lines, counts what its plunger displaced, and can be made to misbehave."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._end: MemoryTransport | None = None
        self.seen: list[tuple[float, str]] = []
        self.state = PumpState.STOPPED
        self.identity = "LP1 1.0"
        self.rate_nl_h = 0
        self.target_nl = 0
        self.pending = PumpAlarm.NONE
        self.deaf_to: tuple[str, ...] = ()  # neither obeyed nor answered
        self.mute_to: tuple[str, ...] = ()  # obeyed, and the answer is lost
        self.refuses: tuple[str, ...] = ()
        self.adds_to_rate = 0
        self.think_s = 0.005
        self._infused_nl = 0.0
        self._moved_at = 0.0

    def plug(self, end: MemoryTransport) -> None:
        self._end = end
        end.start(self._received, lambda _cause: None)

    @property
    def lines(self) -> list[str]:
        return [line for _, line in self.seen]

    def since(self, at: float) -> list[str]:
        return [line for when, line in self.seen if when >= at]

    @property
    def infused(self) -> Volume:
        self._move()
        return Volume(int(self._infused_nl))

    def forget(self) -> None:
        """Power was lost and is back."""
        self._move()
        self.state, self._infused_nl, self.pending = PumpState.STOPPED, 0.0, PumpAlarm.RESET

    def start_by_hand(self) -> None:
        """Somebody presses the start key."""
        self._move()
        self.state, self.rate_nl_h, self.target_nl = PumpState.RUNNING, 60_000_000, 10_000_000

    def say(self, alarm: PumpAlarm) -> None:
        """The pump stops with an alarm and says so by itself."""
        self._move()
        self.state, self.pending = PumpState.STOPPED, self.pending | alarm
        self._answer(f"! {alarm.value}")

    def _move(self) -> None:
        now = self._loop.time()
        if self.state is PumpState.RUNNING:
            self._infused_nl += self.rate_nl_h * (now - self._moved_at) / 3600
            if self._infused_nl >= self.target_nl:
                self._infused_nl = self.target_nl
                self.state = PumpState.COMPLETED
        self._moved_at = now

    def _received(self, data: bytes) -> None:
        for line in data.decode().splitlines():
            self.seen.append((self._loop.time(), line))
            self._loop.call_later(self.think_s, self._obey, line)

    def _obey(self, line: str) -> None:
        word, *rest = line.split()
        if word in self.deaf_to:
            return
        self._move()
        answer = self._refused(word) or self._done(word, [int(number) for number in rest])
        if word not in self.mute_to:
            self._answer(f"{word} {answer}")

    def _refused(self, word: str) -> str:
        if word in self.refuses:
            return "NO"
        if self.pending and word in ("RUN", "RESUME"):
            return "ALARM"
        return ""

    def _done(self, word: str, numbers: list[int]) -> str:
        match word:
            case "RUN":
                self.rate_nl_h, self.target_nl = numbers
                self.rate_nl_h += self.adds_to_rate
                self.state, self._infused_nl = PumpState.RUNNING, 0.0
                return f"{self.rate_nl_h} {self.target_nl}"
            case "RATE":
                self.rate_nl_h = numbers[0] + self.adds_to_rate
                return str(self.rate_nl_h)
            case "STOP":
                if self.state is not PumpState.COMPLETED:
                    self.state = PumpState.STOPPED
            case "PAUSE":
                self.state = PumpState.PAUSED
            case "RESUME":
                self.state = PumpState.RUNNING
            case "ID":
                return self.identity
            case "READ":
                pending, self.pending = self.pending, PumpAlarm.NONE
                return f"{self.state.value} {int(self._infused_nl)} {pending.value}"
        return "OK"

    def _answer(self, line: str) -> None:
        if self._end is not None:
            with contextlib.suppress(LinkError):
                self._end.write(f"{line}\n".encode())


class LineDialect:
    """The host's side of those lines."""

    name = "line"
    capabilities = Capability.VOLUME_TARGET | Capability.DEAD_MAN | Capability.RATE_WHILE_RUNNING

    def __init__(self) -> None:
        self._rest = ""
        self._heard = PumpAlarm.NONE

    def receive(self, data: bytes, now: float) -> Sequence[Frame]:
        del now
        *lines, self._rest = (self._rest + data.decode()).split("\n")
        for line in lines:
            if line.startswith("!"):
                self._heard |= PumpAlarm(int(line.split()[1]))
        return [Frame(line.encode(), line) for line in lines]

    def alarms_heard(self) -> PumpAlarm:
        return self._heard

    def discard_at(self) -> float | None:
        return None

    def discard(self, now: float) -> None:
        del now
        self._rest = ""

    def stop_frame(self) -> bytes:
        return b"STOP\n"

    def connect(self) -> Program[Identity]:
        yield from self._ask("STOP")
        model, firmware = yield from self._ask("ID")
        return Identity(model, firmware, "", f"{model} {firmware}")

    def configure(self, syringe: Syringe) -> Program[Limits]:
        yield from self._ask(f"SYRINGE {syringe.diameter_um}")
        return Limits(
            Rate.from_ml_h("0.1"),
            Rate.from_ml_h(800),
            Volume(1_000),
            Duration(2_000),
            Duration(255_000),
        )

    def start(self, rate: Rate, target: Volume, lease: Duration) -> Program[Accepted]:
        yield from self._ask(f"LEASE {lease.ms}")
        try:
            answer = yield from self._ask(f"RUN {rate.nl_h} {target.nl}")
        except LinkError as lost:
            raise UncertainDelivery("line", "start") from lost
        return Accepted(Rate(int(answer[0])), Volume(int(answer[1])))

    def set_rate(self, rate: Rate) -> Program[Rate]:
        answer = yield from self._ask(f"RATE {rate.nl_h}")
        return Rate(int(answer[0]))

    def read(self) -> Program[Reading]:
        state, infused, alarms = yield from self._ask("READ")
        seen, self._heard = self._heard | PumpAlarm(int(alarms)), PumpAlarm.NONE
        return Reading(PumpState(int(state)), Volume(int(infused)), seen)

    def pause(self) -> Program[Reading]:
        yield from self._ask("PAUSE")
        return (yield from self.read())

    def resume(self, lease: Duration) -> Program[Reading]:
        del lease
        yield from self._ask("RESUME")
        return (yield from self.read())

    def stop(self) -> Program[Reading]:
        before: Volume | None = None
        alarms = PumpAlarm.NONE
        for _ in range(3):
            yield Ask(b"STOP\n", WITHIN)
            try:
                reading = yield from self.read()
            except NoAnswer:
                continue
            alarms |= reading.alarms
            if reading.state in (PumpState.STOPPED, PumpState.COMPLETED):
                if reading.infused == before:
                    return Reading(reading.state, reading.infused, alarms)
                before = reading.infused
        raise NoAnswer("line", "the stop is not confirmed")

    def prove_dead_man(self, lease: Duration) -> Program[str]:
        yield from self._ask("TRIP")
        yield Listen(lease)
        return "tripped"

    def relax(self) -> Program[None]:
        """Its dead-man is the cable: there is nothing to relax."""
        yield from ()

    def disown(self) -> None:
        """Nothing in this pump outlives a session."""

    def restore(self, *, keep_count: bool = False) -> Program[Sequence[str]]:
        del keep_count  # none of its settings has anything to do with its count
        yield from self._ask("RESTORE")
        return ["settings"]

    def _ask(self, line: str) -> Program[list[str]]:
        word = line.split(maxsplit=1)[0]
        frame = yield Ask(f"{line}\n".encode(), WITHIN)
        while frame is not None and not frame.text.startswith(word):
            frame = yield Listen(WITHIN)
        if frame is None:
            raise NoAnswer("line", f"no answer to {word}")
        answer = frame.text.split()[1:]
        if answer == ["NO"]:
            raise PumpRefused(word, "no")
        if answer == ["ALARM"]:
            raise PumpInAlarm(word, "alarm")
        return answer
