"""What the world does to a pump's mechanics: shut lines, empty and wrong syringes, height, air, wear.

Answerable for the change itself, at the mechanics' own instant; what follows from it is computed by
`sim.mechanics` (an ideal drive on a spring) or `sim.mechanics_real` (everything else).  Every method can
be undone by calling it with what was there before.
"""

from __future__ import annotations

from abc import abstractmethod

from sim.line import Line
from sim.line_air import Bubble
from sim.mechanics_housing import NS_PER_MIN, Housing
from sim.mechanics_make import PARTS_PER_NL, Drive, Mount, require
from sim.mechanics_real import Works, commanded
from sim.mechanics_state import MechanicsState, RealState, Take, Truth

PPM_PER_PCT = 10_000


class Breaks:
    """The half of `sim.mechanics.Mechanics` that is done to it from outside."""

    __slots__ = ()

    mount: Mount
    line: Line
    drive: Drive
    state: MechanicsState
    works: Works

    # -- the line ---------------------------------------------------------------------------------

    def occlude(self) -> None:
        """Nothing leaves the line from now on; pressure rises with what the plunger displaces."""
        self._settle()
        self.state.occluded = True
        self._plan()

    def clear_occlusion(self) -> int:
        """The line is open; what it stored too much goes to the patient.  Returns that bolus in nL.

        At once, or as fast as the line's resistance lets it.
        """
        self._settle()
        state, real = self.state, self.state.real
        if real is not None:
            bolus = real.stored - self.works.settled_parts(real) if state.occluded else 0
        else:
            bolus = state.plunger - state.delivered
            state.delivered = state.plunger
            state.peak = max(state.peak, state.delivered)
        state.released += bolus
        state.occluded = False
        self._plan()
        return bolus // PARTS_PER_NL

    def occlude_upstream(self, *, occluded: bool) -> None:
        """Shut between syringe and line: a sensor in the line does not see the pressure behind it."""
        self._real().upstream = occluded
        self._plan()

    def clamp(self, *, shut: bool) -> None:
        """Somebody shuts the clamp on the line, or opens it."""
        self._real()
        self.state.housing.clamp_shut = shut
        self._plan()

    def raise_pump(self, height_cm: float) -> None:
        """The pump stands so much higher than where it was built; negative: lower.  `MakeError`."""
        require("height_cm", height_cm, -1_000, 1_000)
        self._real().height_cm = height_cm
        self._plan()

    def free_flow(self, rate_nl_h: int) -> None:
        """Nothing holds the plunger: it moves by itself at this rate, motor or no motor.  0 ends it.

        Afterwards the pusher has to catch up with it.  A shut line or an antisiphon valve stops it.
        """
        require("free flow nL/h", rate_nl_h, 0, 10**12)
        self._real().free_nl_h = rate_nl_h
        self._plan()

    def siphon(self, height_cm: float) -> None:
        """Free flow of a pump that stands so much higher than the line's end; 0 ends it.  `MakeError`."""
        require("height_cm", height_cm, 0, 1_000)
        self.free_flow(self.line.siphon_nl_h(height_cm))

    # -- air --------------------------------------------------------------------------------------

    def bubble(self, volume_nl: int) -> None:
        """Air comes into the line at the syringe, and moves on with the flow.  `MakeError`."""
        require("bubble nL", volume_nl, 1, 10**8)
        real = self._real()
        mmhg = self.works.spring(real).pressure(real.stored)
        real.bubbles.append(Bubble(volume_nl * PARTS_PER_NL, self.state.delivered, mmhg))
        self._plan()

    def remove_air(self) -> None:
        """Somebody takes the air out of the line: what its spring held counts as having left the line."""
        real = self._real()
        mmhg = self.works.spring(real).pressure(real.stored)
        real.bubbles.clear()
        real.stored = round(self.works.spring(real).stored(mmhg))
        self._plan()

    def blind_air_detector(self, *, blind: bool) -> None:
        """It sees no bubble any more."""
        self._real().air_blind = blind
        self._plan()

    # -- the syringe ------------------------------------------------------------------------------

    def run_dry(self) -> None:
        """The plunger stands at the bottom of the syringe."""
        self.leave(0)

    def leave(self, content_nl: int) -> None:
        """The syringe holds only this much.  Raises `MakeError`."""
        require("content nL", content_nl, 0, 10**12)
        self._settle()
        self.state.content = content_nl * PARTS_PER_NL
        self._plan()

    def refill(self) -> None:
        """A syringe as full as it was loaded, with the slack of one that was just put in."""
        self._settle()
        self.state.content = self.mount.load
        if self.state.real is not None:
            self.state.real.gap = self.drive.slack_nl * PARTS_PER_NL
        self._plan()

    def wrong_syringe(self, diameter_um: int | None) -> None:
        """The syringe in the holder has this inner diameter, whatever was programmed.

        ``None``: the right one is back.  Raises `MakeError`.
        """
        if diameter_um is not None:
            require("diameter_um", diameter_um, 100, 100_000)
        self.state.swapped_um = diameter_um
        self.fit(self.state.programmed_um)

    # -- the drive --------------------------------------------------------------------------------

    def block(self, *, blocked: bool) -> None:
        """The motor turns no further (or is free again)."""
        self._settle()
        self.state.blocked = blocked
        self._plan()

    def lose_steps(self, loss_pct: float) -> None:
        """Of each commanded volume so much is not made; 0: none.  Raises `MakeError`."""
        require("loss_pct", loss_pct, 0, 100)
        self._real().loss_ppm = round(loss_pct * PPM_PER_PCT)
        self._plan()

    def wear(self, backlash_um: float) -> None:
        """The nut has so much play at each reversal, instead of the drive's own.  `MakeError`."""
        require("backlash_um", backlash_um, 0, 10_000)
        self._real().backlash_um = backlash_um
        self._plan()

    def sensor_error(self, *, offset_mmhg: float = 0.0, drift_mmhg_min: float = 0.0) -> None:
        """The pressure sensor is off by this, and drifts from now on.  Raises `MakeError`."""
        require("offset_mmhg", offset_mmhg, -10_000, 10_000)
        require("drift_mmhg_min", drift_mmhg_min, -10_000, 10_000)
        real = self._real()
        real.sensor_mmhg, real.sensor_mmhg_ns = offset_mmhg, drift_mmhg_min / NS_PER_MIN
        real.sensor_since_ns = self.state.now_ns
        self._plan()

    # -- what can be read -------------------------------------------------------------------------

    @property
    def housing(self) -> Housing:
        """Door, clamp, mains and battery."""
        return self.state.housing

    def drug_nl(self) -> int:
        """What of the delivered volume was drug: the dead volume came first, air does not count.

        Plug flow; what the line sucked back and gives again is not counted twice.
        """
        state, real = self.state, self.state.real
        delivered = self._delivered()
        out = max(state.peak, delivered) - (0 if real is None else real.air_out)
        return max(0, out // PARTS_PER_NL - self.line.dead_volume_nl)

    def sensed_mmhg(self) -> float:
        """What the pressure sensor shows, without noise (`sim.mechanics_sensors`)."""
        mmhg = self.truth().pressure_mmhg
        real = self.state.real
        return mmhg if real is None else self.works.sensed_mmhg(self.state, real, mmhg)

    def air_seen(self) -> bool:
        """A bubble stands at the air detector."""
        real = self.state.real
        if real is None:
            return False
        delivered = self._delivered()
        return self.works.sees_air(real, delivered)

    # -- inside -----------------------------------------------------------------------------------

    def _delivered(self) -> int:
        state, real = self.state, self.state.real
        if real is None:
            return self.truth().delivered_nl * PARTS_PER_NL
        self.works.catch_up(state, real)
        at = self.works.position(state, real)
        return state.plunger + at.gained - at.stored

    def _real_truth(self, real: RealState) -> Truth:
        state, works = self.state, self.works
        works.catch_up(state, real)
        at = works.position(state, real)
        plunger = state.plunger + at.gained
        stopped = state.reach is not None and commanded(state) >= state.reach
        pushed = 0.0 if stopped else real.speed
        rate = pushed if real.take is Take.PUSH else real.drift
        content = None if state.content is None else max(0, state.content - at.gained)
        plunger_nl, delivered_nl = plunger // PARTS_PER_NL, (plunger - at.stored) // PARTS_PER_NL
        return Truth(
            plunger_nl=plunger_nl,
            delivered_nl=delivered_nl,
            stored_nl=plunger_nl - delivered_nl,
            pressure_mmhg=works.spring(real).pressure(at.stored),
            rate_nl_h=round(rate),
            steps=self._steps(abs(at.screw - real.screw)),
            content_nl=None if content is None else content // PARTS_PER_NL,
            released_nl=state.released // PARTS_PER_NL,
        )

    def _become_real(self) -> RealState:
        state = self.state
        if state.real is None:
            state.real = RealState(
                gap=self.drive.slack_nl * PARTS_PER_NL,
                backlash_um=self.drive.backlash_um,
                stored=state.plunger - state.delivered,
            )
        return state.real

    def _real(self) -> RealState:
        """What is more than ideal, settled until now; `_plan` follows."""
        self._settle()
        return self._become_real()

    def _excess(self, to_mmhg: float) -> int:
        """Parts that the plunger must go back until the line stands at this pressure."""
        state, real = self.state, self.state.real
        if real is None:
            wanted = round(to_mmhg * self.line.compliance_nl_mmhg * PARTS_PER_NL)
            return state.plunger - state.delivered - wanted
        over = real.stored - round(self.works.spring(real).stored(to_mmhg))
        lost = self.works.backlash(state, real) - real.loose + real.held
        return over + lost if over > 0 else 0

    @abstractmethod
    def fit(self, programmed_um: int) -> None: ...

    @abstractmethod
    def truth(self) -> Truth: ...

    @abstractmethod
    def _settle(self) -> None: ...

    @abstractmethod
    def _plan(self) -> None: ...

    @abstractmethod
    def _steps(self, more: int = 0) -> int: ...
