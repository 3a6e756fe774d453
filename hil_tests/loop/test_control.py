"""The control channel of a bench, without its socket: what each method does to running pumps, and refusals."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from firmware_bridge.transports import memory
from hil_tests.loop.control_bench import Hand, Host, TwoPumps
from sim.control import METHODS, SNAPSHOTS_MAX, Control, plain
from sim.devices.kinds import BUILT_IN, PumpOptions, device_kind
from sim.devices.replay import ReplayPump
from sim.fault_stage import possible_for
from sim.faults.script import parse_script
from sim.mechanics_state import End
from sim.recording import TO_HOST, TO_PUMP, Piece, parse
from sim.serve import serve_memory
from sim.virtual_loop import run_virtual


def on_a_bench(scene: Callable[[TwoPumps], Awaitable[None]]) -> None:
    async def main() -> None:
        bench = TwoPumps()
        await bench.start()
        try:
            await scene(bench)
        finally:
            bench.close()

    run_virtual(main)


def test_the_truth_is_told_of_each_pump_and_of_the_first_where_none_is_named() -> None:
    async def scene(bench: TwoPumps) -> None:
        before = bench.hand.ask("truth.get"), bench.hand.ask("truth.get", pump="right")
        await asyncio.sleep(60.0)
        left, right = bench.hand.ask("truth.get"), bench.hand.ask("truth.get", pump="right")
        assert left["now_s"] - before[0]["now_s"] == pytest.approx(60)
        assert left["delivered_nl"] - before[0]["delivered_nl"] == pytest.approx(1e6, abs=2)
        assert right["delivered_nl"] - before[1]["delivered_nl"] == pytest.approx(6e5, abs=2)
        assert right["rate_nl_h"] == 36_000_000

    on_a_bench(scene)


def test_the_state_is_told_as_plain_json() -> None:
    async def scene(bench: TwoPumps) -> None:
        told = bench.hand.ask("state.get")
        assert (told["held"], told["speed"], told["plugged"]) == (False, 1.0, True)
        assert told["state"]["settings"]["address"] == 0
        bench.hand.ask("cable.unplug")
        bench.hand.ask("time.pause")
        again = bench.hand.ask("state.get")
        assert (again["held"], again["plugged"]) == (True, False)

    on_a_bench(scene)


# --- time ----------------------------------------------------------------------------------------------


def test_a_paused_pump_stands_and_answers_while_the_other_goes_on() -> None:
    async def scene(bench: TwoPumps) -> None:
        bench.hand.ask("time.pause")
        left, right = bench.left.delivered_nl, bench.right.delivered_nl
        await asyncio.sleep(600.0)
        assert bench.left.delivered_nl == left
        assert bench.right.delivered_nl == pytest.approx(right + 6e6, abs=2)
        assert await bench.left.ask(b"\r") == b"\x0200I\x03"
        bench.hand.ask("time.resume")
        await asyncio.sleep(6.0)
        assert bench.left.delivered_nl == pytest.approx(left + 1e5, abs=2)

    on_a_bench(scene)


def test_a_step_moves_one_pump_by_so_much_held_or_not() -> None:
    async def scene(bench: TwoPumps) -> None:
        left, right = bench.left.delivered_nl, bench.right.delivered_nl
        bench.hand.ask("time.step", seconds=3_600)
        assert bench.left.delivered_nl == pytest.approx(left + 6e7, abs=2)
        assert bench.right.delivered_nl == right
        bench.hand.ask("time.pause", pump="right")
        before = bench.hand.ask("truth.get", pump="right")["now_s"]
        assert bench.hand.ask("time.step", pump="right", seconds=0.5)["now_s"] == before + 0.5
        assert bench.right.delivered_nl == pytest.approx(right + 5e3, abs=2)

    on_a_bench(scene)


def test_what_is_due_within_a_step_happens_at_its_own_instant() -> None:
    async def scene(bench: TwoPumps) -> None:
        await bench.left.ask(b"STP\r")
        await bench.left.ask(b"VOL1\r")
        await bench.left.ask(b"RUN\r")
        before = bench.left.delivered_nl
        bench.hand.ask("time.step", seconds=7_200)
        assert bench.left.delivered_nl == before + 1_000_000
        assert await bench.left.ask(b"\r") == b"\x0200S\x03"

    on_a_bench(scene)


def test_a_pump_in_safe_mode_cries_within_the_step_that_leaves_it_alone() -> None:
    async def scene(bench: TwoPumps) -> None:
        await bench.left.ask(b"SAF10\r")
        heard = len(bench.left.heard)
        bench.hand.ask("time.step", seconds=9.9)
        await asyncio.sleep(0)
        assert len(bench.left.heard) == heard
        bench.hand.ask("time.step", seconds=0.2)
        await asyncio.sleep(0.01)
        assert bench.left.heard[heard:] == [b"\x02\x0900A?T\x05@\x03"]

    on_a_bench(scene)


def test_at_another_speed_a_pump_delivers_and_stops_sooner() -> None:
    async def scene(bench: TwoPumps) -> None:
        left, right = bench.left.delivered_nl, bench.right.delivered_nl
        bench.hand.ask("time.speed", speed=60)
        await asyncio.sleep(60.0)
        assert bench.left.delivered_nl == pytest.approx(left + 6e7, abs=2)
        assert bench.right.delivered_nl == pytest.approx(right + 6e5, abs=2)
        bench.hand.ask("time.speed", speed=1)
        await asyncio.sleep(6.0)
        assert bench.left.delivered_nl == pytest.approx(left + 6e7 + 1e5, abs=2)

    on_a_bench(scene)


def test_a_timer_that_was_set_moves_with_the_clock() -> None:
    async def scene(bench: TwoPumps) -> None:
        await bench.left.ask(b"SAF100\r")
        bench.hand.ask("time.speed", speed=10)
        heard = len(bench.left.heard)
        await asyncio.sleep(9.9)
        assert len(bench.left.heard) == heard
        await asyncio.sleep(0.2)
        assert bench.left.heard[-1] == b"\x02\x0900A?T\x05@\x03"

    on_a_bench(scene)


# --- snapshots -------------------------------------------------------------------------------------------


def test_a_running_pump_is_put_back_whole_and_runs_on() -> None:
    async def scene(bench: TwoPumps) -> None:
        bench.hand.ask("snapshot.save", name="running")
        then = bench.hand.ask("truth.get")
        await asyncio.sleep(60.0)
        await bench.left.ask(b"STP\r")
        await bench.left.ask(b"RAT1MH\r")
        right = bench.right.delivered_nl
        back = bench.hand.ask("snapshot.restore", name="running")
        assert back["now_s"] == then["now_s"]
        assert bench.hand.ask("truth.get") == then
        assert bench.right.delivered_nl == right
        await asyncio.sleep(60.0)
        assert bench.left.delivered_nl == pytest.approx(then["delivered_nl"] + 1e6, abs=2)
        assert await bench.left.ask(b"RAT\r") == b"\x0200I60.00MH\x03"

    on_a_bench(scene)


def test_what_was_broken_since_is_whole_again_and_what_was_broken_then_is_broken() -> None:
    async def scene(bench: TwoPumps) -> None:
        bench.hand.ask("fault.add", kind="mute")
        bench.hand.ask("fault.add", kind="half_open", direction="to_pump")
        bench.hand.ask("snapshot.save", name="bad")
        bench.hand.ask("fault.clear")
        bench.hand.ask("snapshot.save", name="good")
        assert await bench.left.ask(b"\r") == b"\x0200I\x03"
        bench.hand.ask("snapshot.restore", name="bad")
        assert [fault["kind"] for fault in bench.hand.ask("fault.list")["faults"]] == [
            "mute",
            "half_open",
        ]
        bench.hand.ask("fault.clear", kind="mute")
        heard = len(bench.left.heard)
        bench.left.end.write(b"\r")
        await asyncio.sleep(1.0)
        assert len(bench.left.heard) == heard
        bench.hand.ask("snapshot.restore", name="good")
        assert bench.hand.ask("fault.list") == {"faults": []}
        assert await bench.left.ask(b"\r") == b"\x0200I\x03"

    on_a_bench(scene)


def test_a_snapshot_belongs_to_its_pump_and_there_are_only_so_many() -> None:
    async def scene(bench: TwoPumps) -> None:
        bench.hand.ask("snapshot.save", name="mine")
        code, text = bench.hand.refused("snapshot.restore", name="mine", pump="right")
        assert (code, text) == (
            -32_602,
            "name = 'mine': no such snapshot of this pump; there are none",
        )
        for number in range(SNAPSHOTS_MAX - 1):
            bench.hand.ask("snapshot.save", name=str(number))
        assert "there are 100 snapshots" in bench.hand.refused("snapshot.save", name="more")[1]
        bench.hand.ask("snapshot.save", name="mine")

    on_a_bench(scene)


# --- faults ----------------------------------------------------------------------------------------------


def test_faults_are_there_listed_and_gone() -> None:
    async def scene(bench: TwoPumps) -> None:
        hand = bench.hand
        hand.ask("fault.add", kind="reply_delay", delay_ms=400)
        hand.ask("fault.add", kind="downstream_occlusion")
        hand.ask("fault.add", kind="reboot")
        assert hand.ask("fault.list") == {
            "faults": [
                {"kind": "reply_delay", "delay_ms": 400},
                {"kind": "downstream_occlusion"},
            ]
        }
        assert hand.ask("fault.list", pump="right") == {"faults": []}
        assert bench.left.served.truth().rate_nl_h == 0  # the reboot
        asked = bench.left.loop.time()
        await bench.left.ask(b"\r")
        assert bench.left.loop.time() - asked == pytest.approx(0.4, abs=0.01)
        hand.ask("fault.clear", kind="reply_delay")
        hand.ask("fault.clear")
        assert hand.ask("fault.list") == {"faults": []}

    on_a_bench(scene)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"kind": "meltdown"}, "fault 'meltdown' does not exist; there are"),
        ({"kind": "mute", "loudly": 1}, "fault mute has no parameter 'loudly'"),
        (
            {"kind": "reply_delay", "delay_ms": -1},
            "delay_ms cannot be -1; it is a number in 0..60000",
        ),
        ({"kind": "half_open", "direction": "up"}, "direction cannot be 'up'"),
        ({"kind": "disconnect", "at": 1}, "fault disconnect has no parameter 'at'"),
        ({}, "fault.add needs kind"),
        ({"kind": 3}, "kind = 3 is of the wrong type"),
        ({"kind": "mute", "delay": [1]}, "delay = [1] is of the wrong type"),
        ({"kind": "reply_delay", "delay_ms": True}, "delay_ms = True is of the wrong type"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_and_nothing_is_changed(
    params: dict[str, object], said: str
) -> None:
    async def scene(bench: TwoPumps) -> None:
        code, text = bench.hand.refused("fault.add", **params)
        assert code == -32_602
        assert said in text
        assert bench.hand.ask("fault.list") == {"faults": []}
        assert "[[fault]]" not in bench.hand.ask("script.export")["script"]

    on_a_bench(scene)


def test_the_cable_and_the_mains_can_be_pulled() -> None:
    async def scene(bench: TwoPumps) -> None:
        before = bench.left.delivered_nl
        bench.hand.ask("cable.unplug")
        assert bench.hand.ask("fault.list") == {"faults": [{"kind": "disconnect"}]}
        await asyncio.sleep(6.0)
        assert bench.left.delivered_nl == pytest.approx(before + 1e5, abs=2)
        bench.hand.ask("power.cycle")
        await asyncio.sleep(6.0)
        assert bench.left.delivered_nl == pytest.approx(before + 1e5, abs=2)

    on_a_bench(scene)


# --- what was done and said --------------------------------------------------------------------------------


def test_an_hour_by_hand_can_be_exported_as_a_script_that_is_one() -> None:
    async def scene(bench: TwoPumps) -> None:
        hand = bench.hand
        began = bench.left.served.started_s
        at = [round(hand.ask("time.pause")["now_s"] - began, 6)]
        hand.ask("fault.add", kind="downstream_occlusion")
        hand.ask("time.step", seconds=60)
        hand.ask("fault.clear", kind="downstream_occlusion")
        hand.ask("fault.add", kind="frame_drop", direction="to_pump", for_commands=3)
        hand.ask("fault.add", kind="mute", pump="right")
        hand.ask("time.step", seconds=40)
        hand.ask("power.cycle")
        hand.ask("cable.unplug")
        exported = hand.ask("script.export")
        assert exported["left_out"] == 0
        possible = possible_for(device_kind("new-era"))
        entries = parse_script(exported["script"], "exported", possible)
        assert [(entry.kind, entry.for_s) for entry in entries] == [
            ("downstream_occlusion", 60.0),
            ("frame_drop", None),
            ("reboot", None),
            ("disconnect", None),
        ]
        assert entries[1].parameters == {"direction": "to_pump", "for_commands": 3}
        starts = [getattr(entry.trigger, "at_s", None) for entry in entries]
        assert starts == pytest.approx([at[0], at[0] + 60, at[0] + 100, at[0] + 100])
        assert exported["script"].startswith("# pump left, seed 3\n")

    on_a_bench(scene)


def test_a_restored_pump_exports_what_leads_to_where_it_is() -> None:
    async def scene(bench: TwoPumps) -> None:
        hand = bench.hand
        hand.ask("fault.add", kind="mute")
        hand.ask("snapshot.save", name="then")
        hand.ask("time.step", seconds=100)
        hand.ask("fault.clear")
        hand.ask("fault.add", kind="motor_stall")
        hand.ask("snapshot.restore", name="then")
        hand.ask("time.step", seconds=10)
        hand.ask("fault.clear", kind="mute")
        script = hand.ask("script.export")["script"]
        assert script.count("[[fault]]") == 1
        assert "for_s = 10.0" in script

    on_a_bench(scene)


def test_what_was_broken_before_the_channel_opened_is_in_its_script() -> None:
    async def main() -> None:
        host = Host()
        host.served.inject("mute")
        hand = Hand(Control({"pump": host.served}))
        assert 'at_s = 0.000000\nkind = "mute"' in hand.ask("script.export")["script"]
        host.served.close()

    run_virtual(main)


def test_a_recording_holds_both_directions_and_plays_as_a_pump() -> None:
    async def scene(bench: TwoPumps) -> None:
        hand = bench.hand
        hand.ask("record.start")
        answer = await bench.left.ask(b"VER\r")
        await asyncio.sleep(2.0)
        await bench.left.ask(b"\r")
        so_far = hand.ask("record.get")["recording"]
        whole = hand.ask("record.stop")
        assert (whole["recording"], whole["dropped"]) == (so_far, 0)
        pieces = parse(so_far, "recorded")
        assert [piece.to for piece in pieces] == [TO_PUMP, TO_HOST] * 2
        assert pieces[2].t_s - pieces[0].t_s == pytest.approx(2.0, abs=0.01)
        assert ReplayPump(pieces).feed(b"VER\r", 0.0)[0][1] == answer
        for method in ("record.get", "record.stop"):
            assert hand.refused(method) == (-32_602, "nothing is being recorded")

    on_a_bench(scene)


def test_the_state_of_a_recording_says_where_the_host_parted_from_it() -> None:
    async def main() -> None:
        host = Host()
        host.served.device = ReplayPump([Piece(0.0, TO_PUMP, b"VER\r")])
        hand = Hand(Control({"pump": host.served}))
        host.end.write(b"RUN\r")
        await asyncio.sleep(0.1)
        told = hand.ask("state.get")["state"]["deviation"]
        assert told == "turn 1: expected b'VER\\r', heard b'RUN\\r'"
        assert hand.refused("fault.add", kind="mute")[0] == -32_602
        host.served.close()

    run_virtual(main)


# --- lines that are no requests ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"\n", -32_700),
        (b"{", -32_700),
        (b"\xff\xfe", -32_700),
        (b"[" * 20_000, -32_700),
        (b"9" * 5_000, -32_700),
        (b"[]", -32_600),
        (b"3", -32_600),
        (b"{}", -32_600),
        (b'{"jsonrpc": "1.0", "method": "truth.get", "id": 1}', -32_600),
        (b'{"jsonrpc": "2.0", "id": 1}', -32_600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 3}', -32_600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "truth.get", "params": [1]}', -32_600),
        (b'{"jsonrpc": "2.0", "id": [], "method": "truth.get"}', -32_600),
        (b'{"jsonrpc": "2.0", "id": true, "method": "truth.get"}', -32_600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eval"}', -32_601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "__class__"}', -32_601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "truth.get", "params": {"x": 1}}', -32_602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "truth.get", "params": {"pump": "me"}}', -32_602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "truth.get", "params": {"pump": []}}', -32_602),
        (b" " * 65_537, -32_600),
    ],
)
def test_what_is_no_request_gets_its_code_and_changes_nothing(line: bytes, code: int) -> None:
    async def scene(bench: TwoPumps) -> None:
        answer = bench.hand.raw(line)
        assert answer["error"]["code"] == code
        assert len(answer["error"]["message"]) < 2_000

    on_a_bench(scene)


HUGE = "1" + "0" * 400


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", HUGE, "1e308", "-1", "1e9", "[]"]
)
@pytest.mark.parametrize(("method", "key"), [("time.step", "seconds"), ("time.speed", "speed")])
def test_numbers_that_no_clock_can_take_are_refused(method: str, key: str, value: str) -> None:
    async def scene(bench: TwoPumps) -> None:
        text = '{"jsonrpc": "2.0", "id": 1, "method": "%s", "params": {"%s": %s}}'
        answer = bench.hand.raw((text % (method, key, value)).encode())
        assert answer["error"]["code"] == -32_602
        assert key in answer["error"]["message"]
        assert len(answer["error"]["message"]) < 300

    on_a_bench(scene)


def test_a_notification_is_obeyed_and_never_answered_not_even_a_wrong_one() -> None:
    async def scene(bench: TwoPumps) -> None:
        assert bench.hand.raw(b'{"jsonrpc": "2.0", "method": "time.pause"}') is None
        assert bench.hand.ask("state.get")["held"]
        assert bench.hand.raw(b'{"jsonrpc": "2.0", "method": "no.such"}') is None
        null = bench.hand.raw(b'{"jsonrpc": "2.0", "id": null, "method": "time.resume"}')
        assert null == {"jsonrpc": "2.0", "id": None, "result": {"now_s": null["result"]["now_s"]}}

    on_a_bench(scene)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_refuses_a_parameter_it_does_not_have(method: str) -> None:
    async def scene(bench: TwoPumps) -> None:
        needed = {"kind": "mute", "seconds": 1, "speed": 1, "name": "n"}
        given = {key: needed[key] for key in METHODS[method].needs}
        code, text = bench.hand.refused(method, **given, nonsense=1)
        assert code == -32_602
        assert "no parameter 'nonsense'" in text

    on_a_bench(scene)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_answer_is_one_line_of_json(method: str) -> None:
    async def scene(bench: TwoPumps) -> None:
        needed = {"kind": "mute", "seconds": 1, "speed": 1, "name": "n"}
        bench.hand.ask("snapshot.save", name="n")
        given = {key: needed[key] for key in METHODS[method].needs}
        request = {"jsonrpc": "2.0", "id": "a", "method": method, "params": given}
        answer = bench.hand._control.handle(json.dumps(request).encode())
        assert answer is not None
        assert answer.count(b"\n") == 1
        json.loads(answer, parse_constant=pytest.fail)

    on_a_bench(scene)


@pytest.mark.parametrize("dialect", sorted(BUILT_IN))
def test_a_pump_of_every_dialect_tells_its_state_and_is_put_back_as_often_as_wanted(
    dialect: str,
) -> None:
    async def main() -> None:
        kind = device_kind(dialect)
        device = kind.make(PumpOptions(model=kind.models[0]))
        loop = asyncio.get_running_loop()
        _, far = memory.pair(loop, a_name="host", b_name="pump")
        served = serve_memory(device, far, loop)
        hand = Hand(Control({"pump": served}))
        hand.ask("time.pause")
        hand.ask("snapshot.save", name="then")
        then = hand.ask("state.get"), hand.ask("truth.get")
        for _ in range(2):
            hand.ask("fault.add", kind="free_flow", rate_ml_h=100)
            hand.ask("fault.add", kind="mute")
            hand.ask("time.step", seconds=100)
            assert hand.ask("truth.get") != then[1]
            hand.ask("snapshot.restore", name="then")
            assert (hand.ask("state.get"), hand.ask("truth.get")) == then
        served.close()

    run_virtual(main)


def test_any_state_can_be_told_in_json() -> None:
    told = plain({1: (math.inf, math.nan, 0.5), "b": bytearray(b"\x02"), "e": End.AIR, "n": None})
    assert told == {"1": ["inf", "nan", 0.5], "b": "02", "e": "End.AIR", "n": None}


def test_the_page_about_the_channel_names_every_method_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "control-channel.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`([a-z]+\.[a-z]+)`", "".join(rows))) == sorted(METHODS)
