"""The run state of an Elite, PHD Ultra or Legato: starting, stopping, targets in volume and time, ramps.

Answerable for what the motor does and which prompt stands for it.  Not answerable for bytes or commands.

A speed that `Mechanics` cannot hold exactly, a ramp or a fraction of a nL/h, is a row of straight pieces.
The speed of each is what is still missing, at its end, from the volume that the profile asks for by then:
the volume is exact at every border between pieces to one part in 10^4 of a nanolitre, and errors never add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from sim.devices.base import NS_PER_S
from sim.devices.harvard_numbers import FL_PER_NL, rate_limits_nl_h
from sim.devices.harvard_quirks import Quirks
from sim.devices.harvard_state import DeviceState, Ramp, Rate
from sim.mechanics import PARTS_PER_NL, End, Mechanics

STEADY_PIECE_NS = 10 * NS_PER_S
"""Of a rate that is no whole number of nL/h [design]."""

RAMP_PIECE_NS = NS_PER_S // 10
RAMP_PIECES_MAX = 600
"""A ramp has pieces of 0.1 s, or as many as this if it is longer than a minute [design]."""

IDLE, TARGET, STALLED = ":", "T*", "*"


class CommandRefused(Exception):
    """The command cannot be executed in this state; the message is the pump's explanation."""


@dataclass(slots=True)
class Runner:
    """Moves the motor as ``state`` says."""

    state: DeviceState
    mechanics: Mechanics
    quirks: Quirks

    # -- what is looked at ------------------------------------------------------------------------

    def rate(self, *, withdrawing: bool) -> Rate:
        """The programmed rate of a direction."""
        return self.state.withdraw if withdrawing else self.state.infuse

    def ramp(self, *, withdrawing: bool) -> Ramp | None:
        """The programmed ramp of a direction."""
        return self.state.withdraw_ramp if withdrawing else self.state.infuse_ramp

    def volume_parts(self, *, withdrawing: bool) -> int:
        """A volume counter, in parts."""
        if withdrawing:
            return self.mechanics.withdrawn_parts - self.state.withdrawn_zero
        return self.mechanics.infused_parts - self.state.infused_zero

    def volume_fl(self, *, withdrawing: bool) -> int:
        """A volume counter as it is shown, in whole fL."""
        counted = self.volume_parts(withdrawing=withdrawing)
        return self.state.faults.counted(counted) * FL_PER_NL // PARTS_PER_NL

    def time_ns(self, *, withdrawing: bool) -> int:
        """How long the motor ran in this direction since the last clear."""
        state, motion = self.state, self.state.motion
        counted = state.withdrawn_ns if withdrawing else state.infused_ns
        if motion.running and motion.withdrawing == withdrawing:
            counted += state.mechanics.now_ns - motion.since_ns
        return counted

    def speed(self) -> Fraction:
        """The motor's speed at this instant in nL/h, as the pump believes; 0 when it stands."""
        motion = self.state.motion
        if not motion.running:
            return Fraction(0)
        elapsed = self.state.mechanics.now_ns - motion.profile_ns
        if not motion.ramp_ns or elapsed >= motion.ramp_ns:
            return motion.end
        return motion.start + (motion.end - motion.start) * elapsed / motion.ramp_ns

    # -- what a host or a key can do --------------------------------------------------------------

    def start(self, *, withdrawing: bool) -> None:
        """Run in this direction; a running motor goes on, or turns round.  Raises `CommandRefused`."""
        motion = self.state.motion
        if motion.running and motion.withdrawing == withdrawing:
            return
        self._require_mode(withdrawing=withdrawing)
        self._require_speed(withdrawing=withdrawing)
        self.halt(IDLE)
        motion.withdrawing = withdrawing
        motion.began_parts = self.volume_parts(withdrawing=withdrawing)
        motion.began_time_ns = self.time_ns(withdrawing=withdrawing)
        if self._left_parts() == 0 or self._left_ns() == 0:
            motion.prompt = TARGET
            return
        motion.prompt = "<" if withdrawing else ">"
        motion.since_ns = self.state.mechanics.now_ns
        self.profile()

    def halt(self, prompt: str) -> None:
        """The motor stands still, and ``prompt`` says why."""
        motion = self.state.motion
        self.mechanics.stop()
        if motion.running:
            self._count_time()
        motion.prompt = prompt
        motion.piece_ns = motion.until_ns = None

    def forget(self) -> None:
        """A counter or target was cleared: ``T*`` and ``*`` are over."""
        if not self.state.motion.running:
            self.state.motion.prompt = IDLE

    def clear_volume(self, *, withdrawing: bool) -> None:
        """The counter is zero; what the plunger did stays done."""
        if withdrawing:
            self.state.withdrawn_zero = self.mechanics.withdrawn_parts
        else:
            self.state.infused_zero = self.mechanics.infused_parts
        if self.state.motion.withdrawing == withdrawing:
            self.state.motion.began_parts = 0
        self.retarget()

    def clear_time(self, *, withdrawing: bool) -> None:
        """The counter is zero."""
        motion = self.state.motion
        if withdrawing:
            self.state.withdrawn_ns = 0
        else:
            self.state.infused_ns = 0
        if motion.withdrawing == withdrawing:
            motion.since_ns = self.state.mechanics.now_ns
            motion.began_time_ns = 0
        self.retarget()

    def profile(self) -> None:
        """The motor follows the programmed rate or ramp from now on."""
        motion = self.state.motion
        ramp = self.ramp(withdrawing=motion.withdrawing)
        if ramp is None:
            steady = self.rate(withdrawing=motion.withdrawing).nl_h
            motion.start, motion.end, motion.ramp_ns = steady, steady, 0
        else:
            motion.start, motion.end, motion.ramp_ns = ramp.start, ramp.end, ramp.duration_ns
        motion.profile_ns = self.state.mechanics.now_ns
        motion.profile_parts = self._moved()
        self.retarget()

    def retarget(self) -> None:
        """A target or a counter changed; a running motor heeds it at once."""
        motion = self.state.motion
        if not motion.running:
            return
        left_ns = self._left_ns()
        ends = [] if left_ns is None else [self.state.mechanics.now_ns + left_ns]
        if motion.ramp_ns and self.quirks.ramp_end == "target":
            ends.append(motion.profile_ns + motion.ramp_ns)
        motion.until_ns = min(ends, default=None)
        self._piece()

    # -- what happens by itself -------------------------------------------------------------------

    def due_ns(self) -> int | None:
        """When the next piece begins or time ends the run."""
        piece, until = self.state.motion.piece_ns, self.state.motion.until_ns
        if piece is None or until is None:
            return until if piece is None else piece
        return min(piece, until)

    def time_came(self) -> None:
        """What `due_ns` announced is now."""
        motion, now = self.state.motion, self.state.mechanics.now_ns
        if motion.until_ns is not None and now >= motion.until_ns:
            self.halt(TARGET)
        else:
            self._piece()

    def motion_ended(self, cause: End) -> None:
        """The target, an end of the syringe (a stall, unless there are limit switches), or a stall."""
        if cause is End.TARGET:
            self.halt(TARGET)
        elif cause in {End.EMPTY, End.FULL} and self.quirks.limit_switches == "yes":
            self.halt("<*" if self.state.motion.withdrawing else ">*")
        else:
            self.halt(STALLED)

    # -- arithmetic -------------------------------------------------------------------------------

    def _require_mode(self, *, withdrawing: bool) -> None:
        if ("w" if withdrawing else "i") not in self.state.settings.mode:
            raise CommandRefused("Not available in this mode")

    def _require_speed(self, *, withdrawing: bool) -> None:
        slowest, fastest = rate_limits_nl_h(self.state.settings.diameter)
        ramp = self.ramp(withdrawing=withdrawing)
        steady = self.rate(withdrawing=withdrawing).nl_h
        for rate in (steady, steady) if ramp is None else (ramp.start, ramp.end):
            if not slowest <= rate <= fastest:
                raise CommandRefused("Rate out of range for this syringe")

    def _moved(self) -> int:
        """Commanded parts in the direction of the run, ever."""
        withdrawing = self.state.motion.withdrawing
        return self.mechanics.withdrawn_parts if withdrawing else self.mechanics.infused_parts

    def _left_parts(self) -> int | None:
        """What the target volume leaves; ``None`` without one."""
        target = self.state.target_fl
        if target is None:
            return None
        counted = self.volume_parts(withdrawing=self.state.motion.withdrawing)
        if self.quirks.target_counts == "since_run":
            counted -= self.state.motion.began_parts
        return max(0, target * PARTS_PER_NL // FL_PER_NL - counted)

    def _left_ns(self) -> int | None:
        """What the target time leaves; ``None`` without one."""
        target = self.state.target_ns
        if target is None:
            return None
        counted = self.time_ns(withdrawing=self.state.motion.withdrawing)
        if self.quirks.target_counts == "since_run":
            counted -= self.state.motion.began_time_ns
        return max(0, target - counted)

    def _count_time(self) -> None:
        state, motion = self.state, self.state.motion
        passed = state.mechanics.now_ns - motion.since_ns
        if motion.withdrawing:
            state.withdrawn_ns += passed
        else:
            state.infused_ns += passed
        motion.since_ns = state.mechanics.now_ns

    def _piece(self) -> None:
        """The next straight piece of the profile begins."""
        motion, now = self.state.motion, self.state.mechanics.now_ns
        elapsed = now - motion.profile_ns
        if elapsed >= motion.ramp_ns and motion.end.denominator == 1:
            if motion.ramp_ns:
                motion.profile_ns, motion.profile_parts, motion.ramp_ns = now, self._moved(), 0
            motion.piece_ns = None
            self._turn(int(motion.end))
            return
        if elapsed < motion.ramp_ns:
            grid = max(RAMP_PIECE_NS, motion.ramp_ns // RAMP_PIECES_MAX)
            length = min(grid - elapsed % grid, motion.ramp_ns - elapsed)
        else:
            length = STEADY_PIECE_NS - elapsed % STEADY_PIECE_NS
        motion.piece_ns = now + length
        missing = self._asked(elapsed + length) - (self._moved() - motion.profile_parts)
        # A border that is only just ahead must not make the motor jump for what is missing.
        fastest = int(max(motion.start, motion.end)) + 1
        self._turn(min(max(0, missing // length), fastest))

    def _asked(self, elapsed: int) -> int:
        """Parts that the profile asks for within ``elapsed`` ns: the integral of its rate."""
        motion = self.state.motion
        ramp = min(elapsed, motion.ramp_ns)
        asked = motion.end * (elapsed - ramp)
        if ramp:
            asked += motion.start * ramp
            asked += (motion.end - motion.start) * ramp * ramp / (2 * motion.ramp_ns)
        return int(asked)

    def _turn(self, rate_nl_h: int) -> None:
        if rate_nl_h:
            withdrawing = self.state.motion.withdrawing
            self.mechanics.start(-rate_nl_h if withdrawing else rate_nl_h, self._left_parts())
        else:
            self.mechanics.stop()
