"""One host's link to a pumplink/1 pump: numbers of frames, duplicates, and what leaves.

Answerable for link ids, seq and ack, for remembering commands, and for the delays of what is sent.  Not
answerable for what a message does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from sim.devices.base import NS_PER_S, Reply
from sim.devices.leaving import leaving_ns
from sim.devices.pumplink_frames import Bad, Frame, made
from sim.devices.pumplink_state import (
    REMEMBERED_COMMANDS,
    Counts,
    LinkState,
    PumpState,
    Remembered,
)
from sim.devices.pumplink_table import BY_NAME, U32, Value

_HALF = 128


@dataclass(slots=True)
class Link:
    """Collects what leaves in ``out``, with its delays."""

    state: PumpState
    thinking_s: float
    out: list[Reply] = field(default_factory=list)

    @property
    def _link(self) -> LinkState:
        return self.state.memory.link

    # -- sending ----------------------------------------------------------------------------------

    def send(self, name: str, values: Mapping[str, Value], *, link_id: int | None = None) -> None:
        """A new frame leaves, on the open link or on the one given."""
        state, link = self.state, self._link
        payload = BY_NAME[name].write(values)
        to = link.link_id if link_id is None else link_id
        frame = made(BY_NAME[name].number, link.sent, link.newest, to, payload)
        link.sent = (link.sent + 1) % 256
        faults = state.faults
        if faults.mute:
            return
        if faults.drop_from_pump:
            faults.drop_from_pump -= 1
            return
        delay_s = faults.held_s() + self.thinking_s
        state.leaves_ns = leaving_ns(state.now_ns, delay_s, state.leaves_ns)
        self.out.append(((state.leaves_ns - state.now_ns) / NS_PER_S, frame))

    def result(self, command_id: int, said: Mapping[str, Value]) -> None:
        """What there is to say of a command now; remembered, if the command is."""
        remembered = self._link.commands.get(command_id)
        if remembered is not None:
            remembered.said = dict(said)
        self.answer(command_id, said)

    def answer(self, command_id: int, said: Mapping[str, Value]) -> None:
        """RESULT, not remembered."""
        self.send("RESULT", {"command_id": command_id, **said})

    def counters(self) -> dict[str, Value]:
        """Health of this link."""
        return {name: count & U32 for name, count in asdict(self._link.counts).items()}

    # -- hearing ----------------------------------------------------------------------------------

    def open(self, link_id: int, seq: int) -> None:
        """A fresh link to this host; nothing of an older one is left."""
        self.state.memory.link = LinkState(link_id, newest=seq, counts=Counts(frames=1))
        self._link.seen.append(seq)

    def close(self) -> None:
        """Nobody is there."""
        self.state.memory.link = LinkState()

    def noise(self, bad: Bad) -> None:
        """A piece that was no frame."""
        counts = self._link.counts
        match bad:
            case Bad.CHECK:
                counts.crc_errors += 1
            case Bad.OVERSIZE:
                counts.oversize += 1
            case Bad.RESYNC:
                counts.resyncs += 1

    def is_new(self, frame: Frame) -> bool:
        """Whether none of the last frames had this number; counts the frame."""
        link = self._link
        link.counts.frames += 1
        if frame.seq in link.seen:
            return False
        link.seen.append(frame.seq)
        if (frame.seq - link.newest) % 256 < _HALF:
            link.newest = frame.seq
        return True

    def duplicate(self) -> None:
        """Something was heard again."""
        self._link.counts.duplicates += 1

    # -- commands ---------------------------------------------------------------------------------

    def repeated(self, command_id: int, asked: bytes) -> bool:
        """Whether this command was heard before; then it was answered from memory."""
        known = self._link.commands.get(command_id)
        if known is None or known.asked != asked:
            return False
        self.duplicate()
        self.answer(command_id, known.said)
        return True

    def accepts(self, command_id: int) -> bool:
        """Whether this id is above every other that this link has seen."""
        return command_id > self._link.newest_command

    def remember(self, command_id: int, asked: bytes, said: dict[str, Value]) -> None:
        """From now on a repetition is answered by what was last said."""
        link = self._link
        link.newest_command = max(link.newest_command, command_id)
        link.commands[command_id] = Remembered(asked, said)
        while len(link.commands) > REMEMBERED_COMMANDS:
            del link.commands[next(iter(link.commands))]
