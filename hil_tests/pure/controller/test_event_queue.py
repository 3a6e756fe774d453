"""The queue in front of the consumer: order, a bounded turn, waiting, and the end."""

from __future__ import annotations

import asyncio

import pytest

from controller.event_queue import DRAIN_MAX, EventQueue
from controller.procedure.events import Event, Failed, LinkLost, TimerFired


class Consumer:
    """Takes events and keeps their names."""

    def __init__(self) -> None:
        self.taken: list[Event] = []
        self.idle = 0
        self.waits = self.over = False
        self.queue = EventQueue(
            asyncio.get_running_loop(),
            self.taken.append,
            waits=lambda: self.waits,
            over=lambda: self.over,
            caught_up=self.caught_up,
        )

    def caught_up(self) -> None:
        self.idle += 1

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.taken if isinstance(event, TimerFired)]


@pytest.fixture
async def consumer() -> Consumer:
    return Consumer()


async def test_events_are_taken_in_order_and_never_by_who_puts_them(consumer: Consumer) -> None:
    for name in "abc":
        consumer.queue.put(TimerFired(name))
    consumer.queue.put_first(TimerFired("first"))
    assert consumer.taken == []
    assert len(consumer.queue) == 4
    await asyncio.sleep(0)
    assert consumer.names == ["first", "a", "b", "c"]
    assert consumer.idle == 1


async def test_a_flood_leaves_the_loop_its_turns(consumer: Consumer) -> None:
    for number in range(DRAIN_MAX + 1):
        consumer.queue.put(TimerFired(str(number)))
    await asyncio.sleep(0)
    assert (len(consumer.taken), consumer.idle) == (DRAIN_MAX, 0)
    await asyncio.sleep(0)
    assert (len(consumer.taken), consumer.idle) == (DRAIN_MAX + 1, 1)


async def test_nothing_is_taken_while_it_waits_and_somebody_says_go_on(consumer: Consumer) -> None:
    consumer.waits = True
    consumer.queue.put(TimerFired("a"))
    await asyncio.sleep(0)
    assert (consumer.names, consumer.idle) == ([], 0)
    consumer.waits = False
    consumer.queue.go_on()
    await asyncio.sleep(0)
    assert consumer.names == ["a"]


async def test_of_what_waits_only_some_kinds_are_kept(consumer: Consumer) -> None:
    for event in (TimerFired("a"), Failed("x"), LinkLost("y"), TimerFired("b")):
        consumer.queue.put(event)
    consumer.queue.keep_only((TimerFired, LinkLost))
    await asyncio.sleep(0)
    assert consumer.taken == [TimerFired("a"), LinkLost("y"), TimerFired("b")]


async def test_once_it_is_over_nothing_is_taken_any_more(consumer: Consumer) -> None:
    consumer.queue.put(TimerFired("a"))
    consumer.over = True
    consumer.queue.put(TimerFired("b"))
    await asyncio.sleep(0)
    assert consumer.taken == []
