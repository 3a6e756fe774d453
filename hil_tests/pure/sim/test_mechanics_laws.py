"""What holds for every make of pump under every fault: looking changes nothing, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.line import Line, Valve
from sim.mechanics import NS_PER_H, PARTS_PER_NL, Drive, Mechanics, Mount

ML = 1_000_000
S = 10**9

DRIVES = st.builds(
    Drive,
    eccentric_um=st.sampled_from([0.0, 40.0]),
    backlash_um=st.sampled_from([0.0, 50.0]),
    slack_nl=st.sampled_from([0, 100_000]),
    jump_nl=st.sampled_from([0, 10_000]),
    jump_below_nl_h=st.sampled_from([0, 10 * ML]),
)
LINES = st.builds(
    Line,
    alarm_mmhg=st.sampled_from([300, 500]),
    soft_nl_mmhg=st.sampled_from([None, 5_700]),
    knee_mmhg=st.sampled_from([0.0, 60.0]),
    resistance_mmhg_min_ul=st.sampled_from([0.0, 0.1, 2.0]),
    back_mmhg=st.sampled_from([0.0, 10.0]),
    valve=st.sampled_from([None, Valve(75, 55)]),
    dead_volume_nl=st.sampled_from([0, ML]),
    air_detector_nl=st.sampled_from([None, 300_000]),
    sensor=st.sampled_from(["force", "line"]),
)
MOUNTS = st.sampled_from([Mount(), Mount(14_430, 3 * ML), Mount(29_700, 4 * ML, 2 * ML)])

DEEDS: Mapping[str, Callable[[Mechanics, int], object]] = {
    "infuse": lambda m, x: m.start(x),
    "withdraw": lambda m, x: m.start(-x),
    "target": lambda m, x: m.start(x, x * PARTS_PER_NL // 3),
    "stop": lambda m, _: m.stop(),
    "occlude": lambda m, _: m.occlude(),
    "clear": lambda m, _: m.clear_occlusion(),
    "block": lambda m, _: m.block(blocked=True),
    "free": lambda m, _: m.block(blocked=False),
    "dry": lambda m, _: m.run_dry(),
    "refill": lambda m, _: m.refill(),
    "upstream": lambda m, x: m.occlude_upstream(occluded=x % 2 == 0),
    "clamp": lambda m, x: m.clamp(shut=x % 2 == 0),
    "height": lambda m, x: m.raise_pump(x % 200 - 100),
    "flow": lambda m, x: m.free_flow(x % (50 * ML)),
    "bubble": lambda m, x: m.bubble(1 + x % ML),
    "no air": lambda m, _: m.remove_air(),
    "lose": lambda m, x: m.lose_steps(x % 101),
    "wear": lambda m, x: m.wear(x % 100),
    "sensor": lambda m, x: m.sensor_error(offset_mmhg=x % 50, drift_mmhg_min=x % 7 - 3),
    "wrong": lambda m, x: m.wrong_syringe(10_000 + x % 10_000),
    "right": lambda m, _: m.wrong_syringe(None),
    "back": lambda m, x: m.pump_back(x, 10.0),
}
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(sorted(DEEDS)), st.integers(1, 10**12), st.integers(10_000, 300 * ML)
    ),
    max_size=8,
)
FEW = settings(max_examples=25, deadline=None)


def fitted(mount: Mount, line: Line, drive: Drive) -> Mechanics:
    made = Mechanics(mount, line, drive)
    made.fit(26_590)
    return made


def look(made: Mechanics) -> tuple[object, ...]:
    return made.truth(), made.drug_nl(), made.sensed_mmhg(), made.air_seen(), made.next_event_ns()


@FEW
@given(DRIVES, LINES, MOUNTS, ACTIONS, st.lists(st.integers(0, 10**13), max_size=10))
def test_looking_in_between_never_changes_what_happens(
    drive: Drive,
    line: Line,
    mount: Mount,
    actions: list[tuple[str, int, int]],
    looks: list[int],
) -> None:
    watched, alone = fitted(mount, line, drive), fitted(mount, line, drive)
    now = 0
    for deed, wait, amount in actions:
        for at in sorted(looks):
            if now < at < now + wait and watched.advance(at) is None:
                look(watched)
        now += wait
        watched.advance(now)
        alone.advance(now)
        DEEDS[deed](watched, amount)
        DEEDS[deed](alone, amount)
        assert look(watched) == look(alone)


@FEW
@given(DRIVES, LINES, MOUNTS, ACTIONS)
def test_what_the_plunger_moved_is_delivered_or_stored_and_what_is_stored_makes_the_pressure(
    drive: Drive, line: Line, mount: Mount, actions: list[tuple[str, int, int]]
) -> None:
    made = fitted(mount, line, drive)
    now = 0
    for deed, wait, amount in actions:
        now += wait
        made.advance(now)
        before, content = made.truth(), made.state.content
        DEEDS[deed](made, amount)
        truth, real = made.truth(), made.state.real
        assert truth.plunger_nl == truth.delivered_nl + truth.stored_nl
        if content is not None and deed not in {"dry", "refill"} and truth.content_nl is not None:
            used = before.content_nl - truth.content_nl if before.content_nl is not None else 0
            assert abs(used - (truth.plunger_nl - before.plunger_nl)) <= 1
            assert 0 <= truth.content_nl <= (mount.capacity_nl or truth.content_nl)
        if real is not None and not real.bubbles:
            assert abs(two_slopes(line, truth.pressure_mmhg) - truth.stored_nl) <= 1


def two_slopes(line: Line, mmhg: float) -> float:
    """Volume against pressure, written out once more, in nL from the pressure at rest."""
    soft = line.soft_nl_mmhg or line.compliance_nl_mmhg

    def whole(p: float) -> float:
        knee = line.knee_mmhg
        return soft * min(p, knee) + line.compliance_nl_mmhg * max(0.0, p - knee)

    return whole(mmhg) - whole(line.back_mmhg)


@FEW
@given(DRIVES, LINES, MOUNTS, ACTIONS)
def test_a_copied_state_goes_on_like_the_original(
    drive: Drive, line: Line, mount: Mount, actions: list[tuple[str, int, int]]
) -> None:
    made = fitted(mount, line, drive)
    now = 0
    for deed, wait, amount in actions:
        now += wait
        made.advance(now)
        DEEDS[deed](made, amount)
    copied = Mechanics(mount, line, drive, deepcopy(made.state))
    for _ in range(2):
        now += 10**12
        assert copied.advance(now) == made.advance(now)
        assert look(copied) == look(made)


@FEW
@given(st.integers(10_000, 20 * ML), st.lists(st.integers(1, 300 * S), min_size=1, max_size=8))
def test_what_leaves_the_line_is_the_sum_of_what_the_pressure_drives_out(
    rate: int, steps: list[int]
) -> None:
    """The outflow computed from the pressures that were read, beside the volume that was delivered."""
    made = Mechanics(Mount(), Line(resistance_mmhg_min_ul=1.0, soft_nl_mmhg=4_000, knee_mmhg=9.0))
    made.fit(26_590)
    made.start(rate)
    times = [0]
    for step in steps:
        times += [times[-1] + step * part // 40 for part in range(1, 41)]
    pressures = []
    for at in times:
        if made.advance(at) is not None:
            return  # an occlusion alarm: the line takes no more than its resistance lets through
        pressures.append(made.truth().pressure_mmhg)
    flows = [p / made.line.resistance_mmhg_min_ul * 60_000 for p in pressures]
    out = sum(
        (later - earlier) * (a + b) / 2 / NS_PER_H
        for (earlier, later), (a, b) in zip(pairwise(times), pairwise(flows), strict=True)
    )
    delivered = made.truth().delivered_nl
    assert abs(out - delivered) <= 2 + 0.002 * delivered


@FEW
@given(MOUNTS, ACTIONS)
def test_real_mechanics_without_anything_real_do_what_ideal_ones_do(
    mount: Mount, actions: list[tuple[str, int, int]]
) -> None:
    ideal, real = fitted(mount, Line(), Drive()), fitted(mount, Line(), Drive())
    real.lose_steps(0)
    now = 0
    plain = {"infuse", "withdraw", "target", "stop", "occlude", "clear", "block", "free", "dry"}
    for deed, wait, amount in actions:
        if deed not in plain:
            continue
        now += wait
        one, other = ideal.advance(now), real.advance(now)
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one.cause is other.cause
            assert abs(one.at_ns - other.at_ns) <= 1
        DEEDS[deed](ideal, amount)
        DEEDS[deed](real, amount)
        assert ideal.infused_parts == real.infused_parts
        for mine, theirs in zip(ideal.truth(), real.truth(), strict=True):
            assert mine == theirs or abs((mine or 0) - (theirs or 0)) <= 1
