"""What goes wrong between a patient and his vitals: at the sensors and on the way to the controller.

Each kind is switched on and off by name and is off until then.  All chance comes from a key of its own
(`sim.chance.scattered`), so no artefact shifts a draw of the patient or of the monitor.

===================  ========================================================================
`lead_off`           no ECG: the pulse is invalid
`probe_off`          no pulse at the finger: saturation is invalid
`cuff_off`           no pressures at all
`line_off`           sampling line off or blocked: EtCO2 is invalid
`electrosurgery`     bursts in which the pulse is nonsense
`double_counting`    T waves are counted: twice the pulse
`motion`             bouts in which saturation is noisy and low
`low_perfusion`      bouts in which the finger has too little blood: saturation is invalid
`cuff_failure`       the arm moves or has too little blood: attempts of the cuff fail, repeated ones too
`cuff_on_spo2_arm`   saturation is invalid while the cuff presses
`mouth_breathing`    EtCO2 is diluted
`flat_lined`         all values stay as they are while time goes on
`frozen`             the last message comes again and again
`late`               messages come late, with the time they were made at
`duplicated`         every message comes twice
`out_of_order`       messages change places in pairs
===================  ========================================================================
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from sim.chance import scattered
from sim.monitor_figures import Bouts, MonitorFigures, Span

KINDS = (
    "lead_off",
    "probe_off",
    "cuff_off",
    "line_off",
    "electrosurgery",
    "double_counting",
    "motion",
    "low_perfusion",
    "cuff_failure",
    "cuff_on_spo2_arm",
    "mouth_breathing",
    "flat_lined",
    "frozen",
    "late",
    "duplicated",
    "out_of_order",
)
OFF = {
    "lead_off": "hr_bpm",
    "probe_off": "spo2_pct",
    "cuff_off": "nibp_sys_mmhg",
    "line_off": "etco2_mmhg",
}
"""The sensors that these take off, by a signal of theirs."""

Sample = dict[str, Any]


class Artefacts:
    """Which kinds are on, and what they do to the values of one monitor."""

    def __init__(self, figures: MonitorFigures, key: int) -> None:
        self._on: set[str] = set()
        self._figures = figures
        self._key = key
        self._count = 0
        self._motion = _Bouts(figures.motion, self._uniform)
        self._burst = _Bouts(figures.electrosurgery, self._uniform)
        self._cold = _Bouts(figures.low_perfusion, self._uniform)

    @property
    def on(self) -> frozenset[str]:
        """The kinds that are on."""
        return frozenset(self._on)

    def switch_on(self, kind: str) -> None:
        """Raises `ValueError` for a kind there is not."""
        self._on.add(_known(kind))

    def switch_off(self, kind: str) -> None:
        """Idempotent.  Raises `ValueError` for a kind there is not."""
        self._on.discard(_known(kind))

    def pulse(self, now: float, hr_bpm: float) -> float:
        """The pulse as the monitor counts it."""
        if "electrosurgery" in self._on and self._burst.going_on(now):
            return self._uniform(*self._figures.electrosurgery.size)
        return 2.0 * hr_bpm if "double_counting" in self._on else hr_bpm

    def saturation(self, now: float, spo2_pct: float) -> float:
        """The saturation of this second, before averaging."""
        if "motion" in self._on and self._motion.going_on(now):
            return max(0.0, spo2_pct - self._uniform(*self._figures.motion.size))
        return spo2_pct

    def pulseless(self, now: float) -> bool:
        """Whether the oximeter finds no pulse at the finger in this second."""
        return "low_perfusion" in self._on and self._cold.going_on(now)

    def end_tidal(self, etco2_mmhg: float) -> float:
        """The carbon dioxide that reaches the capnograph."""
        if "mouth_breathing" in self._on:
            return etco2_mmhg * self._uniform(*self._figures.mouth_breathing)
        return etco2_mmhg

    def _uniform(self, low: float, high: float) -> float:
        self._count += 1
        return low + (high - low) * scattered(self._key, self._count) / 2**64


class _Bouts:
    """Comes and goes; begins with a bout, at the first moment asked about."""

    def __init__(self, figures: Bouts, uniform: Callable[[float, float], float]) -> None:
        self._spans: tuple[Span, Span] = (figures.pause_s, figures.bout_s)
        self._uniform = uniform
        self._active = False
        self._until: float | None = None

    def going_on(self, now: float) -> bool:
        """Whether a bout is going on at ``now``."""
        if self._until is None or now >= self._until:
            self._active = not self._active
            self._until = now + self._uniform(*self._spans[self._active])
        return self._active


class Delivery:
    """The way of samples to the controller: in order and at once, unless an artefact is on."""

    def __init__(self, artefacts: Artefacts, late_s: float) -> None:
        self._artefacts = artefacts
        self._late_s = late_s
        self._last: Sample | None = None
        self._waiting: deque[tuple[float, Sample]] = deque()
        self._held: Sample | None = None

    def of(self, now: float, sample: Sample) -> list[Sample]:
        """What arrives at ``now``, when ``sample`` has just been made."""
        on = self._artefacts.on
        if "frozen" in on and self._last is not None:
            return [self._last]
        self._waiting.append((now + (self._late_s if "late" in on else 0.0), sample))
        arriving = []
        # A message never overtakes one that was sent before: what was late keeps those behind it.
        while self._waiting and ("late" not in on or self._waiting[0][0] <= now):
            arriving.append(self._waiting.popleft()[1])
        arriving = self._swapped(arriving, swapping="out_of_order" in on)
        if arriving:
            self._last = arriving[-1]
        return [one for one in arriving for _ in range(2)] if "duplicated" in on else arriving

    def _swapped(self, arriving: list[Sample], *, swapping: bool) -> list[Sample]:
        sent: list[Sample] = []
        for sample in arriving:
            if self._held is not None:
                sent += [sample, self._held] if swapping else [self._held, sample]
                self._held = None
            elif swapping:
                self._held = sample
            else:
                sent.append(sample)
        return sent


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"artefact {kind!r}: there are {', '.join(KINDS)}")
    return kind
