"""A bad line between a pump and its host, in virtual time: injected by kind, cleared, seeded."""

from __future__ import annotations

import asyncio

import pytest

from firmware_bridge.transports import memory
from sim.devices.new_era import NewEraPump
from sim.faults.line_kinds import LINE_KINDS
from sim.faults.parameters import FaultError, FaultValue
from sim.serve import Served, serve_memory
from sim.virtual_loop import run_virtual

ANSWER = b"\x0200A?R\x03"


class Bench:
    """A host's end of a memory pair, and the pump behind it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.heard: list[tuple[float, bytes]] = []
        self.lost = 0
        self.end, far = memory.pair(self.loop, a_name="host", b_name="pump")
        self.end.start(self._received, self._gone)
        self.served: Served = serve_memory(NewEraPump(), far, self.loop)

    def _received(self, data: bytes) -> None:
        self.heard.append((round(self.loop.time(), 6), data))

    def _gone(self, _cause: Exception | None) -> None:
        self.lost += 1

    async def ask(self, command: bytes = b"\r", within_s: float = 10.0) -> bytes:
        """All that came within the time after the command."""
        self.heard.clear()
        self.end.write(command)
        await asyncio.sleep(within_s)
        return b"".join(data for _, data in self.heard)


def after(kind: str, **parameters: FaultValue) -> tuple[bytes, bytes, list[tuple[float, bytes]]]:
    """The answer with the fault, what was heard when, and the answer after it was cleared."""

    async def main() -> tuple[bytes, bytes, list[tuple[float, bytes]]]:
        bench = Bench()
        bench.served.inject(kind, **parameters)
        broken = await bench.ask(b"\r")
        heard = list(bench.heard)
        bench.served.clear(kind)
        await bench.ask(b"\r")
        mended = await bench.ask(b"\r")
        bench.served.close()
        return broken, mended, heard

    result, _ = run_virtual(main, seed=1, budget_s=1_000.0)
    return result


@pytest.mark.parametrize(
    ("kind", "parameters", "expected"),
    [
        ("byte_drop", {"probability": 1.0}, b""),
        ("half_open", {"direction": "to_pump"}, b""),
        ("half_open", {"direction": "from_pump"}, b""),
        ("stall", {}, b""),
        ("split", {}, ANSWER),
        ("merge", {}, ANSWER),
        ("delay", {"delay_ms": 500}, ANSWER),
        ("slow_line", {"baud": 300}, ANSWER),
        ("frame_duplicate", {"direction": "from_pump", "probability": 1.0}, ANSWER * 2),
        (
            "byte_duplicate",
            {"direction": "from_pump", "probability": 1.0},
            b"\x02\x020000AA??RR\x03\x03",
        ),
        ("echo", {}, b"\r" + ANSWER),
    ],
)
def test_the_fault_is_heard_and_is_over_when_cleared(
    kind: str, parameters: dict[str, FaultValue], expected: bytes
) -> None:
    broken, mended, _ = after(kind, **parameters)
    assert broken == expected
    assert mended == b"\x0200S\x03"


def test_garbage_and_a_wrong_speed_leave_no_answer_as_it_was() -> None:
    noisy, _, _ = after("garbage", probability=1.0, direction="from_pump")
    assert noisy.endswith(ANSWER)
    assert 0 < len(noisy) - len(ANSWER) <= 8
    assert ANSWER not in after("baud_mismatch")[0]
    assert ANSWER not in after("bit_flip", probability=1.0, direction="from_pump")[0]


def test_lateness_and_speed_are_as_long_as_told() -> None:
    [(at, _)] = after("delay", delay_ms=500)[2]
    assert at == 1.0
    [(at, _)] = after("slow_line", baud=300)[2]
    assert at == pytest.approx((1 + len(ANSWER)) * 10 / 300, abs=1e-5)
    times = [at for at, _ in after("split", gap_ms=10, direction="from_pump")[2]]
    assert times == pytest.approx([n * 0.01 for n in range(len(ANSWER))], abs=1e-6)


def test_a_break_is_a_burst_of_zero_bytes_and_over_at_once() -> None:
    broken, mended, _ = after("line_break", count=3, direction="from_pump")
    assert broken == b"\0\0\0" + ANSWER
    assert mended == b"\x0200S\x03"


def test_every_kind_of_the_line_can_be_done_and_undone() -> None:
    async def main() -> None:
        bench = Bench()
        for kind in LINE_KINDS:
            if kind.kind not in ("disconnect", "hang_up"):
                bench.served.inject(kind.kind)
                await bench.ask(b"VER\r")
                bench.served.clear(kind.kind)
        for kind in LINE_KINDS:
            if kind.kind not in ("disconnect", "hang_up"):
                bench.served.inject(kind.kind)
        bench.served.clear()
        await asyncio.sleep(100)
        await bench.ask(b"VER\r")
        assert await bench.ask(b"VER\r") == b"\x0200SNE1000V3.928\x03"
        bench.served.close()

    run_virtual(main, seed=1, budget_s=10_000.0)


@pytest.mark.parametrize(
    ("kind", "parameters", "said"),
    [
        (
            "byte_drop",
            {"probability": 2},
            "byte_drop: probability cannot be 2; it is a number in 0..1",
        ),
        ("byte_drop", {"direction": "up"}, "direction cannot be 'up'"),
        ("stall", {"delay_ms": 1}, "no parameter 'delay_ms'; it has direction"),
        ("hang_up", {"reopen_after_s": -1}, "reopen_after_s cannot be -1"),
    ],
)
def test_what_a_line_cannot_do_is_refused(
    kind: str, parameters: dict[str, FaultValue], said: str
) -> None:
    async def main() -> None:
        bench = Bench()
        with pytest.raises(FaultError, match=said):
            bench.served.inject(kind, **parameters)
        assert await bench.ask() == ANSWER
        bench.served.close()

    run_virtual(main, seed=1, budget_s=100.0)
