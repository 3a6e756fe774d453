"""When faults of a script begin and end."""

from __future__ import annotations

import random

from sim.faults.director import Cue, Director
from sim.faults.kinds import KINDS
from sim.faults.script import Possible, parse_script

ALL = Possible("a bench", tuple(KINDS), ("infusing", "holding"), ("spo2_pct",))


def director(*tables: str, seed: int = 1, started_s: float = 0.0) -> Director:
    text = "".join(f"[[fault]]\n{table}\n" for table in tables)
    return Director(parse_script(text, "f", ALL), random.Random(seed), started_s=started_s)


def told(cues: list[Cue]) -> list[tuple[int, bool]]:
    return [(cue.entry.number, cue.begins) for cue in cues]


def test_a_fault_begins_at_its_time_and_ends_after_its_duration() -> None:
    one = director("at_s=10\nkind='mute'\nfor_s=5", started_s=100.0)
    assert one.next_due() == 110.0
    assert one.time(109.9) == []
    assert told(one.time(110.0)) == [(1, True)]
    assert one.next_due() == 115.0
    assert told(one.time(200.0)) == [(1, False)]
    assert one.next_due() is None


def test_a_late_look_tells_begin_and_end_in_order() -> None:
    one = director("at_s=10\nkind='mute'\nfor_s=5\nrepeat=2\nevery_s=20")
    assert told(one.time(1_000.0)) == [(1, True), (1, False)] * 3
    assert one.next_due() is None


def test_a_fault_without_a_duration_stays_and_one_that_is_over_at_once_has_no_end() -> None:
    one = director("at_s=1\nkind='mute'", "at_s=1\nkind='reboot'")
    assert told(one.time(1e6)) == [(1, True), (2, True)]
    assert one.next_due() is None


def test_a_state_fires_once_the_first_time_after_its_delay() -> None:
    one = director("in='infusing'\nafter_s=3\nkind='mute'", "in='holding'\nkind='stall'\nfor_s=1")
    assert one.entered("holding", 50.0) != []
    assert told(one.entered("infusing", 60.0)) == [(2, False)]
    assert told(one.time(63.0)) == [(1, True)]
    assert one.entered("infusing", 70.0) == one.entered("holding", 71.0) == []


def test_a_volume_fires_when_it_is_reached() -> None:
    one = director("after_ml=2.5\nkind='mute'")
    watched = [one.watches_volume]
    assert one.delivered(2_499_999, 1.0) == []
    assert told(one.delivered(2_500_000, 2.0)) == [(1, True)]
    watched.append(one.watches_volume)
    assert watched == [True, False]
    assert one.delivered(9_000_000, 3.0) == []


def test_the_nth_command_of_a_name_or_of_any() -> None:
    one = director("nth_command=3\nkind='mute'", "nth_command=2\ncommand='STP'\nkind='stall'")
    heard = ["RUN", "STP", "STP", "STP"]
    assert [told(one.commanded(name, 0.0)) for name in heard] == [
        [],
        [],
        [(1, True), (2, True)],
        [],
    ]


def test_a_fault_for_two_commands_spares_the_third() -> None:
    one = director("nth_command=2\nkind='mute'\nfor_commands=2")
    seen = [told(one.commanded("X", float(n))) for n in range(1, 6)]
    assert seen == [[], [(1, True)], [], [(1, False)], []]


def test_a_signal_fires_when_it_is_beyond() -> None:
    one = director("when={signal='spo2_pct', below=90}\nkind='mute'")
    assert one.signals({"spo2_pct": 90.0, "hr_bpm": 1.0}, 1.0) == []
    assert told(one.signals({"spo2_pct": 89.9}, 2.0)) == [(1, True)]
    assert one.signals({"spo2_pct": 50.0}, 3.0) == []


def test_chance_comes_from_the_stream_and_fires_once() -> None:
    def first(seed: int) -> int:
        one = director("probability=0.1\nkind='mute'", seed=seed)
        return next(n for n in range(1, 1_000) if one.commanded("X", float(n)))

    seen = [first(seed) for seed in range(300)]
    assert first(7) == seen[7]
    assert 8 < sum(seen) / len(seen) < 12
