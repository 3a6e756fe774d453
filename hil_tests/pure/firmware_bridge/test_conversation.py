"""The order of steps: what is sent when, and which frame may answer what."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from firmware_bridge.conversation import Conversation, Ended, PushedAside
from firmware_bridge.dialect import Ask, Frame, Listen, Program
from firmware_bridge.errors import Disconnected, LinkError, PumpRefused, UncertainDelivery
from firmware_bridge.protocols.new_era import NewEra
from firmware_bridge.quantities import Duration

HALF = Duration(500)


class Lines(NewEra):
    """A dialect of plain lines, so that these tests are about the order of things alone."""

    def __init__(self) -> None:
        super().__init__()
        self.partial = b""
        self.partial_until: float | None = None
        self.discarded = 0

    def receive(self, data: bytes, now: float) -> Sequence[Frame]:
        *whole, self.partial = (self.partial + data).split(b"\n")
        self.partial_until = now + 0.2 if self.partial else None
        return [Frame(line, line.decode()) for line in whole]

    def discard_at(self) -> float | None:
        return self.partial_until

    def discard(self, now: float) -> None:
        self.partial, self.partial_until = b"", None
        self.discarded += 1


def ask(*questions: str, hush: Duration = Duration(0)) -> Program[list[str]]:
    answers = []
    for question in questions:
        frame = yield Ask(question.encode(), HALF, hush)
        answers.append("-" if frame is None else frame.text)
    return answers


@pytest.fixture
def talk() -> Conversation:
    return Conversation(Lines())


def test_a_question_is_sent_and_its_answer_ends_the_program(talk: Conversation) -> None:
    assert talk.begin(ask("how"), 1.0) == b"how"
    assert talk.wake_at() == 1.5
    assert talk.receive(b"well\n", 1.1) == b""
    assert talk.take_ended() == Ended(["well"])
    assert talk.take_ended() is None
    assert talk.wake_at() is None


def test_a_program_under_way_is_busy(talk: Conversation) -> None:
    states = [talk.busy]
    talk.begin(ask("how"), 1.0)
    states.append(talk.busy)
    talk.receive(b"well\n", 1.1)
    assert [*states, talk.busy] == [False, True, False]


def test_the_next_question_follows_the_answer_in_the_same_turn(talk: Conversation) -> None:
    talk.begin(ask("one", "two"), 0.0)
    assert talk.receive(b"1\n", 0.1) == b"two"
    assert talk.wake_at() == pytest.approx(0.6)


def test_silence_is_an_answer_too(talk: Conversation) -> None:
    talk.begin(ask("one", "two"), 0.0)
    assert talk.on_timer(0.3) == b""
    assert talk.on_timer(0.5) == b"two"
    talk.receive(b"2\n", 0.6)
    assert talk.take_ended() == Ended(["-", "2"])


def test_a_timer_that_fires_a_hair_early_counts(talk: Conversation) -> None:
    talk.begin(ask("one"), 0.0)
    talk.on_timer(0.4999)
    assert talk.take_ended() == Ended(["-"])


def test_what_arrived_before_a_question_was_sent_does_not_answer_it(talk: Conversation) -> None:
    talk.begin(ask("one", "two"), 0.0)
    assert talk.receive(b"1\nstale\n", 0.1) == b"two"
    assert [frame.text for frame in talk.unsolicited] == ["stale"]
    talk.receive(b"2\n", 0.2)
    assert talk.take_ended() == Ended(["1", "2"])


def test_what_arrives_with_nobody_asking_is_unsolicited(talk: Conversation) -> None:
    assert talk.receive(b"alarm\n", 0.0) == b""
    assert [frame.text for frame in talk.unsolicited] == ["alarm"]


def test_a_wanted_silence_is_kept_before_sending(talk: Conversation) -> None:
    assert talk.begin(ask("one", hush=Duration(600)), 0.0) == b""
    assert talk.wake_at() == pytest.approx(0.6)
    assert talk.receive(b"late\n", 0.3) == b""
    assert [frame.text for frame in talk.unsolicited] == ["late"]
    assert talk.on_timer(0.6) == b"one"
    assert talk.wake_at() == pytest.approx(1.1)
    talk.receive(b"1\n", 0.7)
    assert talk.take_ended() == Ended(["1"])


def test_listening_sends_nothing_and_takes_what_comes(talk: Conversation) -> None:
    def program() -> Program[list[str]]:
        first = yield Listen(HALF)
        second = yield Listen(HALF)
        third = yield Listen(HALF)
        return [frame.text if frame else "-" for frame in (first, second, third)]

    assert talk.begin(program(), 0.0) == b""
    assert talk.receive(b"a\nb\n", 0.1) == b""
    assert talk.on_timer(0.6) == b""
    assert talk.take_ended() == Ended(["a", "b", "-"])


def test_a_frame_that_left_already_is_not_sent_twice(talk: Conversation) -> None:
    assert talk.begin(ask("stop", "look"), 0.0, sent=b"stop") == b""
    assert talk.receive(b"ok\n", 0.1) == b"look"


def test_another_first_frame_is_sent_all_the_same(talk: Conversation) -> None:
    assert talk.begin(ask("look"), 0.0, sent=b"stop") == b"look"


def test_an_incomplete_frame_is_given_up_in_time(talk: Conversation) -> None:
    talk.begin(ask("one"), 0.0)
    talk.receive(b"gar", 0.1)
    assert talk.wake_at() == pytest.approx(0.3)
    assert talk.on_timer(0.3) == b""
    assert talk.wake_at() == pytest.approx(0.5)
    talk.receive(b"1\n", 0.4)
    assert talk.take_ended() == Ended(["1"])


def test_an_error_of_the_program_is_its_ending(talk: Conversation) -> None:
    def program() -> Program[None]:
        yield Ask(b"run", HALF)
        raise PumpRefused("run", "no")

    talk.begin(program(), 0.0)
    talk.receive(b"?\n", 0.1)
    ended = talk.take_ended()
    assert ended is not None
    assert isinstance(ended.error, PumpRefused)
    assert not talk.busy


def test_a_program_that_asks_nothing_ends_at_once(talk: Conversation) -> None:
    assert talk.begin(ask(), 0.0) == b""
    assert talk.take_ended() == Ended([])


def test_two_programs_at_once_are_a_mistake_of_the_caller(talk: Conversation) -> None:
    talk.begin(ask("one"), 0.0)
    with pytest.raises(RuntimeError, match="under way"):
        talk.begin(ask("two"), 0.0)


def test_an_abandoned_question_ends_with_the_reason(talk: Conversation) -> None:
    talk.begin(ask("one"), 0.0)
    reason = PushedAside("bench", "a stop came first")
    talk.abandon(reason)
    assert talk.take_ended() == Ended(error=reason)
    assert talk.wake_at() is None
    talk.receive(b"1\n", 0.1)
    assert [frame.text for frame in talk.unsolicited] == ["1"]


def test_an_abandoned_program_decides_what_its_ending_is(talk: Conversation) -> None:
    def program() -> Program[None]:
        try:
            yield Ask(b"run", HALF)
        except LinkError as lost:
            raise UncertainDelivery("bench", "start") from lost

    talk.begin(program(), 0.0)
    talk.abandon(Disconnected("bench", "unplugged"))
    ended = talk.take_ended()
    assert ended is not None
    assert isinstance(ended.error, UncertainDelivery)


def test_an_abandoned_program_may_end_with_a_value(talk: Conversation) -> None:
    def program() -> Program[str]:
        try:
            yield Ask(b"run", HALF)
        except LinkError:
            return "never mind"
        return "done"

    talk.begin(program(), 0.0)
    talk.abandon(Disconnected("bench", "unplugged"))
    assert talk.take_ended() == Ended("never mind")


def test_an_abandoned_program_cannot_go_on_sending(talk: Conversation) -> None:
    def program() -> Program[None]:
        try:
            yield Ask(b"run", HALF)
        except LinkError:
            yield Ask(b"again", HALF)

    talk.begin(program(), 0.0)
    reason = Disconnected("bench", "unplugged")
    talk.abandon(reason)
    assert talk.take_ended() == Ended(error=reason)


def test_abandoning_nothing_is_nothing(talk: Conversation) -> None:
    talk.abandon(Disconnected("bench", "unplugged"))
    assert talk.take_ended() is None


class Polite(Lines):
    """Lines whose link layer owes a ``+`` for every line, and a ``!`` for every bell."""

    def __init__(self) -> None:
        super().__init__()
        self.owed = b""

    def receive(self, data: bytes, now: float) -> Sequence[Frame]:
        self.owed += b"!" * data.count(b"\a")
        frames = super().receive(data.replace(b"\a", b""), now)
        self.owed += b"+" * len(frames)
        return frames

    def take_owed(self) -> bytes:
        owed, self.owed = self.owed, b""
        return owed


def test_what_the_link_layer_owes_goes_out_before_the_next_question() -> None:
    talk = Conversation(Polite())
    assert talk.receive(b"\a", 0.5) == b"!"
    assert talk.begin(ask("how", "who"), 1.0) == b"how"
    assert talk.receive(b"we", 1.1) == b""
    assert talk.receive(b"\all\n", 1.2) == b"!+who"
    assert talk.receive(b"\a", 1.3) == b"!"
    assert talk.receive(b"me\nstray\n", 1.4) == b"++"
    assert talk.take_ended() == Ended(["well", "me"])
    assert [frame.text for frame in talk.unsolicited] == ["stray"]
