"""The talk between an Orchestra base and its host: acknowledgements, keep-alive, spontaneous messages.

Answerable for what is sent when, for what was not acknowledged or not echoed in time, and for noticing
that the host is gone.  Not answerable for what commands do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sim.devices.base import NS_PER_S, Reply
from sim.devices.fresenius_frames import ENQ, NO_ACK, frame, refusal
from sim.devices.fresenius_quirks import Quirks
from sim.devices.fresenius_state import OrchestraState, Station, Waiting, Watch
from sim.devices.leaving import leaving_ns

ACK_NS = NS_PER_S
"""A frame is acknowledged within 1 s, which is also what a known host grants the base [design]."""

ECHO_NS = NS_PER_S
TICK_NS = NS_PER_S
"""A value that changes all the time is told once a second [design]."""

TRIES = 3
"""So often a frame or a spontaneous message is sent at most [design]."""

WAITING_MAX = 8
UNANSWERED_MAX = 5
"""After so many ENQ without DC4 the host counts as gone [design]."""

STEADILY_CHANGING = frozenset("r")

_NS_PER_MS = 1_000_000


@dataclass(slots=True)
class Link:
    """Collects what leaves in ``out``, with its delays."""

    state: OrchestraState
    quirks: Quirks
    look: Callable[[int, str, str], str | None]
    """Address, kind of watch and identifier -> the value now."""
    mark: Callable[[int], str]
    """Address -> what stands in front of its messages."""
    out: list[Reply] = field(default_factory=list)

    # -- sending ----------------------------------------------------------------------------------

    def say(self, data: bytes, held_s: float | None = None) -> None:
        """Signs and frames leave in order, unless the base is mute."""
        state = self.state
        if state.faults.mute:
            return
        delay_s = state.faults.delay_s if held_s is None else held_s
        state.leaves_ns = leaving_ns(state.now_ns, delay_s, state.leaves_ns)
        self.out.append(((state.leaves_ns - state.now_ns) / NS_PER_S, data))

    def send(self, text: str) -> None:
        """A frame that the host has to acknowledge; one that gets lost on the way has left all the same."""
        data = frame(text)
        waiting = self.state.waiting
        waiting.append(Waiting(data, self.state.now_ns + ACK_NS))
        del waiting[:-WAITING_MAX]
        self._transmit(data)

    def _transmit(self, data: bytes) -> None:
        faults = self.state.faults
        if faults.drop_from_pump:
            faults.drop_from_pump -= 1
        else:
            self.say(data, faults.held_s())

    # -- what the host says -----------------------------------------------------------------------

    def acknowledged(self) -> None:
        """The oldest frame has arrived."""
        del self.state.waiting[:1]

    def refused(self) -> None:
        """The oldest frame has arrived damaged."""
        waiting = self.state.waiting
        if not waiting:
            return
        oldest = waiting.pop(0)
        if self.quirks.on_nak == "repeat" and oldest.tries < TRIES:
            again = Waiting(oldest.frame, self.state.now_ns + ACK_NS, oldest.tries + 1)
            waiting.append(again)
            self._transmit(oldest.frame)

    def alive(self) -> None:
        """DC4."""
        self.state.enq_unanswered = 0

    def echoed(self, address: int, letter: str) -> None:
        """The spontaneous message has been seen; the next one may follow."""
        watch = self.state.stations[address].watches[letter]
        watch.text, watch.due_ns = "", None

    # -- time -------------------------------------------------------------------------------------

    def due_ns(self) -> int | None:
        """When something is due here."""
        state = self.state
        timers = [state.enq_due_ns, state.tick_due_ns]
        timers += [waiting.due_ns for waiting in state.waiting]
        timers += [watch.due_ns for _, watch in self._watches()]
        return min((due for due in timers if due is not None), default=None)

    def happen(self, due_ns: int) -> bool:
        """What is due happens; whether the host has just turned out to be gone."""
        self._overdue(due_ns)
        for address, watch in self._watches():
            if watch.due_ns is not None and watch.due_ns <= due_ns:
                self._unechoed(address, watch)
        state = self.state
        if state.tick_due_ns is not None and state.tick_due_ns <= due_ns:
            state.tick_due_ns = None
            self.tell(steadily=True)
        if state.enq_due_ns is not None and state.enq_due_ns <= due_ns:
            return self._enquire()
        return False

    def keep_alive(self, *, wanted: bool) -> None:
        """ENQ from now on, or no more."""
        state = self.state
        if not wanted or not self.quirks.enq_period_ms:
            state.enq_due_ns, state.enq_unanswered = None, 0
        elif state.enq_due_ns is None:
            state.enq_due_ns = state.now_ns + self.quirks.enq_period_ms * _NS_PER_MS

    def _enquire(self) -> bool:
        """ENQ, unless the last ones went unanswered."""
        state = self.state
        if state.enq_unanswered >= UNANSWERED_MAX and self.quirks.host_lost != "ignore":
            self.keep_alive(wanted=False)
            return True
        state.enq_unanswered += 1
        state.enq_due_ns = state.now_ns + self.quirks.enq_period_ms * _NS_PER_MS
        self.say(bytes([ENQ]))
        return False

    def _overdue(self, due_ns: int) -> None:
        """A frame that was not acknowledged is given up."""
        state = self.state
        late = [waiting for waiting in state.waiting if waiting.due_ns <= due_ns]
        for waiting in late:
            state.waiting.remove(waiting)
            if self.quirks.unacknowledged == "nak" and not state.switched_off:
                self.say(refusal(NO_ACK))

    def _unechoed(self, address: int, watch: Watch) -> None:
        if self.quirks.unechoed == "repeat" and watch.tries < TRIES:
            watch.tries += 1
            watch.due_ns = self.state.now_ns + ECHO_NS
            self.send(self.mark(address) + watch.text)
        else:
            watch.text, watch.due_ns = "", None

    # -- spontaneous messages ---------------------------------------------------------------------

    def tell(self, *, steadily: bool = False) -> None:
        """What has changed is told; ``steadily``: also what changes all the time."""
        for address, watch in self._watches():
            if watch.ids and not watch.text:
                self._tell(address, watch, steadily=steadily)
        watching = any(watch.ids for _, watch in self._watches())
        if watching and self.state.tick_due_ns is None:
            self.state.tick_due_ns = self.state.now_ns + TICK_NS
        elif not watching:
            self.state.tick_due_ns = None

    def _tell(self, address: int, watch: Watch, *, steadily: bool) -> None:
        changed = []
        for name in watch.ids:
            value = self.look(address, watch.letter, name)
            wait = name in STEADILY_CHANGING and name in watch.told and not steadily
            if value is not None and value != watch.told.get(name) and not wait:
                watch.told[name] = value
                changed.append(name + value)
        if changed:
            watch.text = ";".join([watch.letter, *changed])
            watch.tries = 1
            watch.due_ns = self.state.now_ns + ECHO_NS
            self.send(self.mark(address) + watch.text)

    def _watches(self) -> list[tuple[int, Watch]]:
        stations: dict[int, Station] = self.state.stations
        return [
            (address, watch)
            for address, station in stations.items()
            for watch in station.watches.values()
        ]
