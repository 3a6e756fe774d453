"""Each figure that somebody published about syringe pumps, beside what the set of its source makes of it.

``python -m hil_tests.bench.physics`` prints the table and ends with 1 if a figure lies outside.  How a
figure is read off the simulated pump stands beside it.  *Sets* marks a figure from which a value of the
set was taken: that it comes out again shows the arithmetic, not the model.  *Follows* marks one that was
left alone.

Bench and simulation only.  Never a pump connected to a person.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

from sim.mechanics import End, Mechanics, Truth
from sim.physics import physics

S, MIN, H = 10**9, 60 * 10**9, 3600 * 10**9
ML, UL = 1_000_000, 1_000
DIAMETER_UM = 26_590
SETS, FOLLOWS = "sets", "follows"
NOTHING, ALL = 0.10, 0.95
"""First flow: a tenth of the set rate; steady: 95 % of it (own reading, the abstracts define neither)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One published figure.  ``low``, ``high``: its interval, in ``unit``."""

    source: str
    what: str
    published: str
    low: float
    high: float
    unit: str
    basis: str
    measure: Callable[[], float]

    def row(self) -> tuple[str, ...]:
        """As it is printed; measured now."""
        found = self.measure()
        inside = "yes" if self.low <= found <= self.high else "NO"
        interval = f"{self.low:.4g} .. {self.high:.4g} {self.unit}"
        return (
            inside,
            self.source,
            self.what,
            self.published,
            f"{found:.4g} {self.unit}",
            interval,
            self.basis,
        )


# -- a pump on the bench --------------------------------------------------------------------------------


def pump(name: str) -> Mechanics:
    """A pump of that set with the right syringe programmed."""
    chosen = physics(name)
    made = Mechanics(chosen.mount, chosen.line, chosen.drive)
    made.fit(chosen.mount.diameter_um or DIAMETER_UM)
    return made


def infusing(name: str, rate_ml_h: float, settled_min: float = 60.0) -> Mechanics:
    """The same, running steadily at this rate."""
    made = pump(name)
    made.start(round(rate_ml_h * ML))
    made.advance(round(settled_min * MIN))
    return made


def first(made: Mechanics, true: Callable[[Truth], bool], step_ns: int, within_ns: int) -> float:
    """The seconds until this is true, to the microsecond; it is true then."""
    began = made.state.now_ns
    for at in range(began + step_ns, began + within_ns, step_ns):
        before = deepcopy(made.state)
        made.advance(at)
        if true(made.truth()):
            break
    else:
        return float("inf")
    low, high = before.now_ns, at
    while high - low > UL:
        middle = (low + high) // 2
        made.state = deepcopy(before)
        made.advance(middle)
        low, high = (low, middle) if true(made.truth()) else (middle, high)
    made.advance(high)
    return (high - began) / S


def flow_nl_h(made: Mechanics, over_ns: int = S) -> float:
    """What leaves the line in the second that follows; the pump stays where it is."""
    before = deepcopy(made.state)
    now = made.truth().delivered_nl
    made.advance(made.state.now_ns + over_ns)
    gained = made.truth().delivered_nl - now
    made.state = before
    return gained * H / over_ns


# -- occlusion ------------------------------------------------------------------------------------------


def occluded(name: str, rate_ml_h: float) -> Mechanics:
    """Started against a shut stopcock, and stopped by its alarm."""
    made = pump(name)
    made.occlude()
    made.start(round(rate_ml_h * ML))
    end = made.advance(made.next_event_ns() or 0)
    if end is None or end.cause is not End.OCCLUSION:
        raise RuntimeError(f"{name}: no occlusion alarm at {rate_ml_h} mL/h but {end}")
    return made


def alarm_min(name: str, rate_ml_h: float) -> float:
    return occluded(name, rate_ml_h).state.now_ns / MIN


def stored_ml(name: str, rate_ml_h: float) -> float:
    return occluded(name, rate_ml_h).truth().stored_nl / ML


def released_ml(name: str, rate_ml_h: float) -> float:
    made = occluded(name, rate_ml_h)
    before = made.truth().delivered_nl
    made.clear_occlusion()
    made.advance(made.state.now_ns + H)
    return (made.truth().delivered_nl - before) / ML


def compliance(name: str) -> float:
    """Microlitres per mmHg between a fifth and all of the alarm pressure."""
    made = pump(name)
    made.occlude()
    made.start(ML)
    low = first(made, lambda truth: truth.pressure_mmhg >= 100, MIN, 10 * H)
    before = made.truth()
    made.advance(made.next_event_ns() or 0)
    after = made.truth()
    assert low < H
    return (after.stored_nl - before.stored_nl) / UL / (after.pressure_mmhg - before.pressure_mmhg)


# -- start and stop -------------------------------------------------------------------------------------


def start_up_min(name: str, share: float, *, purged: bool) -> float:
    """Until the flow reaches this share of 1 mL/h, fresh or after 2 mL and a rest of an hour."""
    made = pump(name)
    if purged:
        made.start(12 * ML, 2 * ML * H)
        made.advance(10 * MIN)
        made.stop()
        made.advance(70 * MIN)
    made.start(ML)
    return first(made, lambda _: flow_nl_h(made) >= share * ML, 20 * S, 3 * H) / 60


def start_delay_min(name: str, rate_ml_h: float) -> float:
    made = pump(name)
    made.start(round(rate_ml_h * ML))
    return first(made, lambda _: flow_nl_h(made) >= NOTHING * rate_ml_h * ML, 5 * S, H) / 60


def run_on(name: str, rate_ml_h: float) -> tuple[float, float]:
    """What still leaves after the motor stopped (mL), and until when 99 % of it have (min)."""
    made = infusing(name, rate_ml_h)
    made.stop()
    before, state = made.truth().delivered_nl, deepcopy(made.state)
    made.advance(made.state.now_ns + H)
    whole = made.truth().delivered_nl - before
    made.state = state
    nearly = before + 0.99 * whole
    return whole / ML, first(made, lambda truth: truth.delivered_nl >= nearly, S, H) / 60


# -- height ---------------------------------------------------------------------------------------------


def lifted_off_ml(name: str, height_cm: float) -> float:
    """What a pump that is off gives when it is lifted."""
    made = pump(name)
    made.raise_pump(height_cm)
    made.advance(H)
    return made.truth().delivered_nl / ML


def surge(name: str, rate_ml_h: float, height_cm: float) -> float:
    """The highest flow after the pump is lifted, in set rates."""
    made = infusing(name, rate_ml_h)
    made.raise_pump(height_cm)
    return flow_nl_h(made, S // 10) / (rate_ml_h * ML)


def without_drug_min(name: str, rate_ml_h: float, height_cm: float) -> float:
    """Until more has left the line than had when the pump was lowered: what it sucked back comes first."""
    made = infusing(name, rate_ml_h)
    level = made.truth().delivered_nl
    made.raise_pump(-height_cm)
    return first(made, lambda truth: truth.delivered_nl > level, S, H) / 60


def longer_pct(name: str, valve: str) -> float:
    alone, with_valve = (without_drug_min(one, 1, 50) for one in (name, f"{name}-{valve}"))
    return 100 * (with_valve / alone - 1)


def pressure_step_mmhg(name: str, height_cm: float) -> float:
    made = infusing(name, 1)
    before = made.truth().pressure_mmhg
    made.raise_pump(-height_cm)
    made.advance(made.state.now_ns + H)
    return made.truth().pressure_mmhg - before


# -- geometry -------------------------------------------------------------------------------------------


def ripple(name: str, rate_ml_h: float) -> tuple[float, float]:
    """Period of the flow's ripple (min) and its amplitude (% of the flow), seen at the line's end."""
    made = pump(name)
    made.start(round(rate_ml_h * ML))
    period = physics(name).drive.turn_nl(physics(name).mount.diameter_um or 0) / rate_ml_h / ML * H
    step = round(period / 64)
    made.advance(10 * step)
    flows: list[float] = []
    for _ in range(4 * 64):
        before = made.truth().delivered_nl
        made.advance(made.state.now_ns + step)
        flows.append((made.truth().delivered_nl - before) * H / step / (rate_ml_h * ML))
    mean = sum(flows) / len(flows)
    rises = [i for i in range(1, len(flows)) if flows[i - 1] < mean <= flows[i]]
    amplitude = 100 * (max(flows) - min(flows)) / 2
    return (rises[-1] - rises[0]) / (len(rises) - 1) * step / MIN, amplitude


def jump_ul(name: str, rate_ml_h: float) -> float:
    """By how much the plunger moves at a time."""
    made = pump(name)
    made.start(round(rate_ml_h * ML))
    first(made, lambda truth: truth.plunger_nl > 0, S, H)
    return made.truth().plunger_nl / UL


def steps_per_s() -> float:
    made = pump("ideal")
    made.fit(14_480)
    made.start(2 * ML)
    made.advance(10_000 * S)
    return made.truth().steps / 10_000


def wrong_brand_pct() -> float:
    made = pump("ideal")
    made.wrong_syringe(29_700)
    made.start(60 * ML, ML * H)
    made.advance(H)
    return 100 * (made.truth().plunger_nl / ML - 1)


def bubble_ul_mmhg() -> float:
    """What 1 mL of air adds to the compliance of an occluded line."""
    found = []
    for air in (0, ML):
        made = pump("ideal")
        if air:
            made.bubble(air)
        made.occlude()
        made.start(ML)
        made.advance(30 * MIN)
        truth = made.truth()
        found.append(truth.stored_nl / UL / truth.pressure_mmhg)
    return found[1] - found[0]


DOENMEZ, ROOKE, DONALD = "doenmez-2005", "rooke-1994", "donald-2007"
SHORT, LONG = "neff-2001-short", "neff-2001-long"
BD, FRESENIUS = "weiss-2000-plastipak", "weiss-2000-fresenius"
STIFF, SOFT = "weiss-2000-stiff-plunger", "weiss-2000-soft-plunger"

FIGURES: tuple[Figure, ...] = (
    # occlusion
    Figure(DOENMEZ, "time to alarm at 0.5 mL/h", "117.3 +- 9.4", 107.9, 126.7, "min", SETS,
           lambda: alarm_min(DOENMEZ, 0.5)),
    Figure(DOENMEZ, "time to alarm at 5 mL/h", "15.0 +- 7.1", 7.9, 22.1, "min", FOLLOWS,
           lambda: alarm_min(DOENMEZ, 5)),
    Figure(DOENMEZ, "stored at 0.5 mL/h: rate x time", "0.98", 0.90, 1.06, "mL", SETS,
           lambda: stored_ml(DOENMEZ, 0.5)),
    Figure(DOENMEZ, "stored at 5 mL/h: rate x time", "1.25", 0.66, 1.84, "mL", FOLLOWS,
           lambda: stored_ml(DOENMEZ, 5)),
    Figure(ROOKE, "time to alarm at 3 mL/h", "18-22", 18, 22, "min", FOLLOWS,
           lambda: alarm_min(ROOKE, 3)),
    Figure(ROOKE, "bolus when the stopcock is opened", "0.6-0.9", 0.6, 0.9, "mL", SETS,
           lambda: released_ml(ROOKE, 3)),
    Figure("snijder-2015", "compliance of syringes", "1.2-2.8", 1.2, 2.8, "uL/mmHg", SETS,
           lambda: compliance("snijder-2015")),
    # start and stop
    Figure(ROOKE, "delay at 3 mL/h (flow above 10 %)", "2-3", 2, 3, "min", SETS,
           lambda: start_delay_min(ROOKE, 3)),
    Figure(ROOKE, "run-on after 6 mL/h", "0.05", 0.045, 0.055, "mL", SETS,
           lambda: run_on(ROOKE, 6)[0]),
    Figure(ROOKE, "run-on lasts (99 % of it)", "2-3", 2, 3, "min", FOLLOWS,
           lambda: run_on(ROOKE, 6)[1]),
    Figure(SHORT, "first flow at 1 mL/h (10 %)", "6.75 +- 4.4", 2.35, 11.15, "min", SETS,
           lambda: start_up_min(SHORT, NOTHING, purged=False)),
    Figure(LONG, "first flow at 1 mL/h (10 %)", "57.2 +- 28.6", 28.6, 85.8, "min", SETS,
           lambda: start_up_min(LONG, NOTHING, purged=False)),
    Figure(SHORT, "steady flow (95 %)", "19.6 +- 9.3", 10.3, 28.9, "min", FOLLOWS,
           lambda: start_up_min(SHORT, ALL, purged=False)),
    Figure(LONG, "steady flow (95 %)", "76.3 +- 29.0", 47.3, 105.3, "min", FOLLOWS,
           lambda: start_up_min(LONG, ALL, purged=False)),
    Figure(SHORT, "first flow after a 2 mL purge (10 %)", "0.3 +- 0.1 .. 1.1 +- 0.8", 0.2, 1.9, "min",
           FOLLOWS, lambda: start_up_min(SHORT, NOTHING, purged=True)),
    Figure(LONG, "first flow after a 2 mL purge (10 %)", "0.3 +- 0.1 .. 1.1 +- 0.8", 0.2, 1.9, "min",
           FOLLOWS, lambda: start_up_min(LONG, NOTHING, purged=True)),
    Figure(SHORT, "steady flow after a 2 mL purge (95 %)", "6.0 +- 3.1 .. 11.1 +- 4.3", 6.0, 11.1, "min",
           SETS, lambda: start_up_min(SHORT, ALL, purged=True)),
    Figure(LONG, "steady flow after a 2 mL purge (95 %)", "6.0 +- 3.1 .. 11.1 +- 4.3", 6.0, 11.1, "min",
           FOLLOWS, lambda: start_up_min(LONG, ALL, purged=True)),
    # height and siphon
    Figure(ROOKE, "off, lifted by 120 cm", "up to 0.5", 0.45, 0.5, "mL", SETS,
           lambda: lifted_off_ml(ROOKE, 120)),
    Figure(DONALD, "lifted by 30 cm at 2 mL/h: highest flow", "up to 7 x", 6.3, 7, "set rates", SETS,
           lambda: surge(DONALD, 2, 30)),
    Figure(DONALD, "lowered by 30 cm at 2 mL/h: no flow", "up to 180 s", 2.7, 3, "min", SETS,
           lambda: without_drug_min(DONALD, 2, 30)),
    Figure(DONALD, "the same at 4 mL/h", "inverse to the rate", 1.35, 1.5, "min", FOLLOWS,
           lambda: without_drug_min(DONALD, 4, 30)),
    Figure(BD, "lowered by 50 cm: no drug for", "2.4 +- 0.2", 2.2, 2.6, "min", SETS,
           lambda: without_drug_min(BD, 1, 50)),
    Figure(FRESENIUS, "lowered by 50 cm: no drug for", "4.09 +- 0.55", 3.54, 4.64, "min", SETS,
           lambda: without_drug_min(FRESENIUS, 1, 50)),
    Figure(BD, "longer with a 75 mmHg antisiphon valve", "58 (43-58 with two syringes)", 43, 58, "%", SETS,
           lambda: longer_pct(BD, "asv75")),
    Figure(FRESENIUS, "longer with a 75 mmHg antisiphon valve", "43 (43-58 with two syringes)", 43, 58, "%", SETS,
           lambda: longer_pct(FRESENIUS, "asv75")),
    Figure(BD, "longer with a 155 mmHg antisiphon valve", "88 (81-88 with two syringes)", 81, 88, "%", SETS,
           lambda: longer_pct(BD, "asv155")),
    Figure(FRESENIUS, "longer with a 155 mmHg antisiphon valve", "81 (81-88 with two syringes)", 81, 88, "%", SETS,
           lambda: longer_pct(FRESENIUS, "asv155")),
    Figure(STIFF, "lowered by 50 cm: no drug for", "3.26 +- 0.40", 2.86, 3.66, "min", SETS,
           lambda: without_drug_min(STIFF, 1, 50)),
    Figure(SOFT, "lowered by 50 cm: no drug for", "6.38 +- 0.56", 5.82, 6.94, "min", SETS,
           lambda: without_drug_min(SOFT, 1, 50)),
    Figure(ROOKE, "lowered by 50 cm: pressure (Igarashi, Can J Anesth)", "+37.5 +- 4.0", 33.5, 41.5,
           "mmHg", FOLLOWS, lambda: pressure_step_mmhg(ROOKE, 50)),
    # geometry
    Figure("mathworks-insulin", "volume of one turn of the screw", "119.47", 119.42, 119.52, "uL", FOLLOWS,
           lambda: 216 * jump_ul("mathworks-insulin", 1)),
    Figure("mathworks-insulin", "volume of one turn of the motor", "0.5531", 0.5526, 0.5536, "uL", FOLLOWS,
           lambda: jump_ul("mathworks-insulin", 1)),
    Figure("ideal", "microsteps at 2 mL/h, BD 10 mL, 2 mm screw", "5.3978", 5.397, 5.3985, "/s", FOLLOWS,
           steps_per_s),
    Figure("bd20-ripple", "period at 1 mL/h", "17.1", 17.05, 17.15, "min", FOLLOWS,
           lambda: ripple("bd20-ripple", 1)[0]),
    Figure("bd60-ripple", "period at 5 mL/h", "8.33", 8.325, 8.335, "min", FOLLOWS,
           lambda: ripple("bd60-ripple", 5)[0]),
    Figure("bd20-ripple", "amplitude: 10 um on a 1 mm screw", "6.3", 6.2, 6.4, "%", FOLLOWS,
           lambda: ripple("bd20-ripple", 1)[1]),
    Figure("sticky", "jump of a plunger that sticks at 0.5 mL/h", "2-10 (own choice)", 2, 10, "uL", SETS,
           lambda: jump_ul("sticky", 0.5)),
    Figure("ideal", "programmed BD 60, mounted Terumo 60", "about +25", 24.5, 25.5, "%", FOLLOWS,
           wrong_brand_pct),
    Figure("ideal", "compliance that 1 mL of air adds", "about 1.3", 1.25, 1.35, "uL/mmHg", FOLLOWS,
           bubble_ul_mmhg),
)  # fmt: skip

HEAD = ("inside", "set", "what is read off the pump", "published", "simulated", "interval", "basis")
NOTES = (
    "sets: a value of the set was taken from this figure; follows: it was left alone.",
    "Where a source prints a mean and SD the interval is one SD; 'up to X' is read as 0.9 X .. X.",
    "Rooke: 18-22 min at 3 mL/h displace 0.9-1.1 mL, but 0.6-0.9 mL came out: the rest is the drive's slack.",
    "Weiss, valves: one closing pressure per valve gives the same percentage with both syringes, where the",
    "  paper printed 58 and 43, 88 and 81 %: the difference between the syringes is not reproduced.",
    "Doenmez prints 0.98 mL at 0.5 and 1.25 mL at 5 mL/h (rate x time); one spring stores the same at both.",
    "Neff: a purge here is 2 mL at 12 mL/h and an hour's rest; the paper's own rate is not in its abstract.",
)


def main() -> int:
    rows = [figure.row() for figure in FIGURES]
    widths = [max(len(row[i]) for row in (HEAD, *rows)) for i in range(len(HEAD))]
    for row in (HEAD, *rows):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(cells.rstrip() + "\n")
    outside = sum(row[0] != "yes" for row in rows)
    sys.stdout.write(f"\n{len(rows) - outside} of {len(rows)} figures inside\n")
    for note in NOTES:
        sys.stdout.write(note + "\n")
    return 1 if outside else 0


if __name__ == "__main__":
    sys.exit(main())
