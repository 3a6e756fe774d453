"""The monitor's lines: any bytes, cut anywhere, are samples or noise and never an error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.procedure.events import vitals_arrived
from controller.vitals_link import LINE_BYTES_MAX, VitalsLink, parse_line
from firmware_bridge.errors import Disconnected, LinkError
from firmware_bridge.transports import memory
from firmware_bridge.transports.base import Lost, Received

SAMPLE = {
    "t_s": 1.0,
    "seq": 7,
    "hr_bpm": 72.1,
    "invalid": ["spo2_pct"],
    "signs": {"anxious": False, "pain_fall_cm": 2.5},
    "model": {"plasma_ng_ml": 61.2},
    "etco2_mmhg": None,
}
LINES = st.one_of(
    st.binary(max_size=60).filter(lambda line: b"\n" not in line),
    st.just(json.dumps(SAMPLE).encode()),
    st.just(b'{"hr_bpm": 72}'),
    st.just(b""),
    st.just(b"x" * (LINE_BYTES_MAX + 1)),
    st.just(b"{" * LINE_BYTES_MAX),
)


class Monitor:
    """A transport whose far end is the test."""

    name = "monitor"

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.trouble: LinkError | None = None
        self.closed = 0
        self.send: Received
        self.lose: Lost

    def start(self, received: Received, lost: Lost) -> None:
        self.send, self.lose = received, lost

    def write(self, data: bytes) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.written.append(data)

    def write_now(self, data: bytes) -> None:
        self.write(data)

    def close(self) -> None:
        self.closed += 1


class Bedside:
    """A link, its monitor, and what came of it."""

    def __init__(self) -> None:
        self.samples: list[Mapping[str, object]] = []
        self.lost = 0
        self.monitor = Monitor()
        self.link = VitalsLink(self.monitor, self.samples.append, self._lost)

    def _lost(self) -> None:
        self.lost += 1


def test_a_sample_arrives_as_it_was_sent() -> None:
    bedside = Bedside()
    bedside.monitor.send(json.dumps(SAMPLE).encode() + b"\n")
    assert bedside.samples == [SAMPLE]
    assert bedside.link.noise == 0


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"7",
        b"[1]",
        b'"hr_bpm"',
        b'{"hr_bpm": NaN}',
        b'{"hr_bpm": Infinity}',
        b'{"hr_bpm": 1e999}',
        b'{"hr_bpm": 1' + b"0" * 400 + b"}",
        b'{"hr_bpm": 72',
        b'{"hr_bpm": [72]}',
        b'{"signs": {"deep": {"deeper": 1}}}',
        b'{"hr\xff": 72}',
        b"[" * 3000,
        b'{"text": "' + b"x" * LINE_BYTES_MAX + b'"}',
    ],
)
def test_anything_else_is_noise(line: bytes) -> None:
    assert parse_line(line) is None


def test_a_line_of_just_the_longest_length_is_a_sample() -> None:
    line = b'{"t": "' + b"x" * (LINE_BYTES_MAX - 9) + b'"}'
    assert len(line) == LINE_BYTES_MAX
    bedside = Bedside()
    bedside.monitor.send(line)
    bedside.monitor.send(b"\n")
    assert len(bedside.samples) == 1


@given(st.binary(max_size=200) | LINES)
def test_no_line_raises_and_what_it_means_can_always_be_decided_about(line: bytes) -> None:
    sample = parse_line(line)
    if sample is not None:
        event = vitals_arrived(sample)
        assert all(isfinite(value) for value in event.sample.values())


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.floats() | st.none() | st.text()))
def test_whatever_numbers_a_monitor_sends_each_fits_a_float(sample: dict[str, object]) -> None:
    heard = parse_line(json.dumps(sample).encode())
    if heard is not None:
        assert all(isfinite(v) for v in heard.values() if isinstance(v, int | float))


@given(st.lists(LINES, max_size=6), st.data())
def test_any_split_of_the_stream_gives_the_same_samples_and_the_same_noise(
    lines: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    whole = Bedside()
    whole.monitor.send(stream)
    cut = Bedside()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        cut.monitor.send(stream[start:end])
    assert cut.samples == whole.samples
    assert cut.link.noise == whole.link.noise
    assert len(whole.samples) + whole.link.noise == len(lines)


def test_a_flood_without_an_end_is_one_piece_of_noise_and_takes_no_memory() -> None:
    bedside = Bedside()
    for _ in range(100):
        bedside.monitor.send(b"x" * LINE_BYTES_MAX)
    assert bedside.link.noise == 1
    assert len(bedside.link._rest) <= LINE_BYTES_MAX
    bedside.monitor.send(b'\n{"hr_bpm": 72}\n')
    assert bedside.samples == [{"hr_bpm": 72}]


def test_the_world_is_told_facts_as_lines() -> None:
    bedside = Bedside()
    bedside.link.tell({"delivered_ml": 1.25})
    assert bedside.monitor.written == [b'{"delivered_ml":1.25}\n']


@pytest.mark.parametrize(
    "trouble", [Disconnected("monitor", "gone"), LinkError("monitor", "takes nothing")]
)
def test_a_world_that_is_gone_or_asleep_is_no_error(trouble: LinkError) -> None:
    bedside = Bedside()
    bedside.monitor.trouble = trouble
    bedside.link.tell({"delivered_ml": 1.25})
    assert bedside.link.noise == 1


@pytest.mark.parametrize("cause", [None, OSError("unplugged")])
def test_losing_the_monitor_is_told(cause: Exception | None) -> None:
    bedside = Bedside()
    bedside.monitor.lose(cause)
    assert bedside.lost == 1


async def test_closing_lets_go_of_the_transport_and_is_not_a_loss() -> None:
    here, there = memory.pair(asyncio.get_running_loop())
    ended: list[Exception | None] = []
    lost: list[None] = []
    there.start(lambda _: None, ended.append)
    link = VitalsLink(here, lambda _: None, lambda: lost.append(None))
    link.close()
    link.close()
    for _ in range(3):
        await asyncio.sleep(0)
    assert (len(ended), lost) == (1, [])
