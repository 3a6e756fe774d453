"""Intent before act: nothing that moves drug leaves before its intent is durable, or after a stop."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, cast

from controller.log_writer import LogWriteFailed
from controller.outbox import Outbox

if TYPE_CHECKING:
    from controller.event_log import EventLog

FAILED = LogWriteFailed("disk full")


class Disk:
    """The little of a session log that an outbox asks: when is a record safe, and is there a log."""

    def __init__(self) -> None:
        self.writable = True
        self.failed = False
        self._durable = -1
        self._changed = asyncio.Condition()

    async def synced(self, seq: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.failed or self._durable >= seq)
        if self.failed:
            raise FAILED

    async def reach(self, seq: int) -> None:
        async with self._changed:
            self._durable = seq
            self._changed.notify_all()
        await settle()

    async def fail(self) -> None:
        async with self._changed:
            self.failed, self.writable = True, False
            self._changed.notify_all()
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Desk:
    """An outbox, its disk, and what left or was voided, in order."""

    def __init__(self, *, durable: bool = True) -> None:
        self.disk = Disk()
        self.outbox = Outbox(cast("EventLog", self.disk), durable=durable)
        self.sent: list[int] = []
        self.voided: list[tuple[int, str]] = []

    def put(self, seq: int) -> None:
        self.outbox.put(
            seq, lambda: self.sent.append(seq), lambda why: self.voided.append((seq, why))
        )


async def test_a_command_leaves_once_its_intent_is_durable_and_not_before() -> None:
    desk = Desk()
    desk.put(3)
    await settle()
    assert desk.sent == []
    await desk.disk.reach(2)
    assert desk.sent == []
    await desk.disk.reach(3)
    assert desk.sent == [3]


async def test_commands_leave_in_the_order_they_were_given() -> None:
    desk = Desk()
    for seq in (1, 2, 5):
        desk.put(seq)
    await desk.disk.reach(2)
    assert desk.sent == [1, 2]
    desk.put(6)
    await desk.disk.reach(6)
    assert desk.sent == [1, 2, 5, 6]
    assert desk.voided == []


async def test_a_stop_voids_everything_that_has_not_left() -> None:
    desk = Desk()
    desk.put(1)
    desk.put(2)
    await desk.disk.reach(1)
    desk.outbox.void_all("emergency stop")
    await desk.disk.reach(9)
    assert desk.sent == [1]
    assert desk.voided == [(2, "emergency stop")]


async def test_what_is_given_after_a_stop_does_not_take_the_place_of_what_was_voided() -> None:
    desk = Desk()
    desk.put(1)
    await settle()
    desk.outbox.void_all("emergency stop")
    desk.put(7)
    await desk.disk.reach(1)
    assert desk.sent == []
    await desk.disk.reach(7)
    assert desk.sent == [7]


async def test_a_log_that_cannot_be_written_voids_everything_and_says_why() -> None:
    desk = Desk()
    desk.put(1)
    desk.put(2)
    await settle()
    await desk.disk.fail()
    assert desk.sent == []
    assert [seq for seq, _ in desk.voided] == [1, 2]
    assert "disk full" in desk.voided[0][1]
    desk.put(3)
    await settle()
    assert [seq for seq, _ in desk.voided] == [1, 2, 3]


async def test_closing_voids_what_waits_and_lets_nothing_leave_later() -> None:
    desk = Desk()
    desk.put(1)
    await settle()
    desk.outbox.close()
    desk.outbox.close()
    await desk.disk.reach(1)
    assert desk.sent == []
    assert desk.voided == [(1, "the controller is closing")]


async def test_a_command_that_cannot_be_sent_voids_the_rest_and_is_told() -> None:
    desk = Desk()
    told: list[str] = []
    desk.outbox.attach(told.append)

    def breaks() -> None:
        raise RuntimeError("no such frame")

    desk.outbox.put(1, breaks, lambda _: None)
    desk.put(2)
    await desk.disk.reach(2)
    assert told == ["sending a command failed: RuntimeError: no such frame"]
    assert desk.sent == []
    assert desk.voided == [(2, told[0])]
    desk.put(3)
    await desk.disk.reach(3)
    assert desk.sent == [
        3
    ]  # whether anything may still leave is for the runner and its latch to say


async def test_an_outbox_that_was_never_used_can_be_closed() -> None:
    Desk().outbox.close()


async def test_nothing_of_the_one_who_orders_leaks_into_what_waits() -> None:
    inherited = contextvars.ContextVar("inherited", default="clean")
    seen: list[str] = []
    desk = Desk()
    inherited.set("in the middle of something")
    desk.outbox.put(1, lambda: seen.append(inherited.get()), lambda _: None)
    await desk.disk.reach(1)
    assert seen == ["clean"]


async def test_in_virtual_time_a_command_leaves_at_once() -> None:
    desk = Desk(durable=False)
    desk.put(1)
    assert desk.sent == [1]


async def test_in_virtual_time_a_broken_log_voids_at_once() -> None:
    desk = Desk(durable=False)
    desk.disk.writable = False
    desk.put(1)
    assert desk.sent == []
    assert desk.voided == [(1, "its intent could not be written to the session log")]
