"""The session log as bytes: the chain, and a reader that nothing can surprise."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller import log_format
from controller.flat_json import Scalar
from controller.log_format import GENESIS, Kind, LogFormatError, Stamp, encode_record

BOOT = "a9cfd8f3dc6f"


def lines_of(*records: tuple[str, dict[str, Scalar]], session: str = "S-0001") -> list[bytes]:
    h, lines = GENESIS, []
    for seq, (kind, data) in enumerate(records):
        line, h = encode_record(
            h,
            stamp=Stamp(1_795_339_521_393 + seq, 81_231 + seq),
            boot=BOOT,
            seq=seq,
            session=session,
            kind=kind,
            data=data,
        )
        lines.append(line)
    return lines


def a_log(records: int = 40, *, sealed: bool = True) -> list[bytes]:
    middle: list[tuple[str, dict[str, Scalar]]] = [
        (
            Kind.SAMPLE,
            {"rate_ml_h": 26.7 + n, "volume_ml": n / 7, "state": "infusing", "link": True},
        )
        for n in range(records - 2)
    ]
    last: tuple[str, dict[str, Scalar]] = (
        (Kind.FOOTER, {"outcome": "completed"}) if sealed else ("note", {"text": 'µ, "h":'})
    )
    return lines_of((Kind.HEADER, {"version": "0.1.0"}), *middle, last)


# One line by hand.
HAND_BODY = (
    b'{"v":1,"ts":1795339521393,"mono":81231,"boot":"a9cfd8f3dc6f","seq":0,"session":"S-0001",'
    b'"kind":"header","version":"0.1.0"}'
)


def test_a_line_is_the_flat_object_with_its_chained_hash_as_last_key() -> None:
    (line,) = lines_of((Kind.HEADER, {"version": "0.1.0"}))
    h = hashlib.sha256(b"0" * 64 + HAND_BODY).hexdigest()
    assert line == HAND_BODY[:-1] + b',"h":"' + h.encode() + b'"}\n'
    assert list(json.loads(line))[-1] == "h"


def test_the_next_line_is_chained_to_the_hash_before_it() -> None:
    first, second = lines_of((Kind.HEADER, {}), ("note", {"text": "µg"}))
    before = json.loads(first)["h"].encode()
    body = second[:-73] + b"}"
    assert json.loads(second)["h"] == hashlib.sha256(before + body).hexdigest()
    assert "µg".encode() in second


def test_a_whole_log_is_valid_and_sealed_by_its_footer() -> None:
    assert log_format.verify(b"".join(a_log())) == log_format.Verification(
        ok=True, records=40, first_bad=None, sealed=True, reason=""
    )


def test_a_log_that_is_still_being_written_is_valid_and_not_sealed() -> None:
    verdict = log_format.verify(b"".join(a_log(5, sealed=False)))
    assert (verdict.ok, verdict.records, verdict.sealed) == (True, 5, False)


def test_records_come_back_as_they_were_written() -> None:
    data: dict[str, Scalar] = {"rate_ml_h": 26.7, "n": -3, "text": 'a "µ"\n\x1b[0m', "sim": True}
    prefix = log_format.longest_valid_prefix(b"".join(lines_of((Kind.HEADER, data))))
    (record,) = prefix.records
    assert {key: record[key] for key in data} == data
    assert list(record) == ["v", "ts", "mono", "boot", "seq", "session", "kind", *data]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"seq": 1}, r"note: \['seq'\] belong to the log itself"),
        ({"h": "x"}, "belong to the log itself"),
        ({"rate_ml_h": float("nan")}, "note: rate_ml_h: nan is not a finite number"),
        ({"nested": {"a": 1}}, "note: nested: dict is not text"),
        ({"n": 2**64}, "beyond 64 bits"),
        ({"text": "\ud800"}, "note: "),
        ({"text": "x" * 70_000}, "more than 65536"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(data: dict[str, Scalar], why: str) -> None:
    with pytest.raises(LogFormatError, match=why):
        lines_of(("note", data))


def test_an_odd_subclass_is_refused_and_not_written_as_something_else() -> None:
    class Odd(str):
        __slots__ = ()

    with pytest.raises(LogFormatError):
        lines_of(("note", {"text": object()}))  # type: ignore[dict-item]  # the point
    try:
        (line,) = lines_of(("note", {"text": Odd("x")}))
    except LogFormatError:
        return
    assert json.loads(line)["text"] == "x"


# --- damage ---------------------------------------------------------------------------------------

TAILS: dict[str, Callable[[random.Random], bytes]] = {
    "nothing": lambda _: b"",
    "zeros": lambda rng: bytes(rng.randrange(1, 200)),
    "random": lambda rng: rng.randbytes(rng.randrange(1, 200)),
    "brace": lambda _: b"}\n",
    "fake record": lambda _: b'{"kind":"footer"}\n{"h":"' + b"0" * 64 + b'"}\n',
}


@pytest.mark.parametrize("tail", TAILS)
def test_cut_at_every_byte_with_any_tail_gives_the_longest_valid_prefix(tail: str) -> None:
    lines = a_log()
    whole, rng = b"".join(lines), random.Random(7)
    ends = [0]
    for line in lines:
        ends.append(ends[-1] + len(line))
    complete = 0
    for cut in range(len(whole) + 1):
        while complete + 1 < len(ends) and ends[complete + 1] <= cut:
            complete += 1
        if cut % 50 and cut not in ends:
            continue
        damaged = whole[:cut] + TAILS[tail](rng)
        prefix = log_format.longest_valid_prefix(damaged)
        assert len(prefix.records) >= complete
        assert whole.startswith(damaged[: prefix.size])
        assert (prefix.reason == "") == (prefix.size == len(damaged))


@pytest.mark.parametrize("tail", TAILS)
def test_a_short_log_cut_at_every_single_byte(tail: str) -> None:
    lines = a_log(4)
    whole, rng = b"".join(lines), random.Random(11)
    for cut in range(len(whole) + 1):
        damaged = whole[:cut] + TAILS[tail](rng)
        prefix = log_format.longest_valid_prefix(damaged)
        assert len(prefix.records) >= whole[:cut].count(b"\n")
        assert whole.startswith(damaged[: prefix.size])


def test_every_single_bit_flip_of_a_short_log_is_found() -> None:
    whole = b"".join(a_log(3))
    for position in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << bit
            verdict = log_format.verify(bytes(flipped))
            assert not verdict.ok
            assert verdict.first_bad == whole[:position].count(b"\n")
            assert verdict.records == verdict.first_bad


def test_a_record_left_out_swapped_or_repeated_is_found() -> None:
    lines = a_log(6)
    for order in ([0, 1, 3, 4, 5], [0, 2, 1, 3, 4, 5], [0, 1, 1, 2, 3, 4, 5], [1, 2, 3]):
        assert not log_format.verify(b"".join(lines[n] for n in order)).ok


def test_bytes_after_the_footer_are_not_believed() -> None:
    verdict = log_format.verify(b"".join(a_log(4)) + b"\n")
    assert (verdict.ok, verdict.records, verdict.first_bad) == (False, 4, 4)
    assert (verdict.sealed, verdict.reason) == (True, "bytes after the footer")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"v":1}', "ts is missing"),
        (HAND_BODY.replace(b'"v":1', b'"v":2'), "version 2 is not 1"),
        (HAND_BODY.replace(b'"v":1', b'"v":true'), "v is missing or not int"),
        (HAND_BODY.replace(b'"seq":0', b'"seq":1'), "seq 1 is not 0"),
        (HAND_BODY.replace(b'"seq":0', b'"seq":0,"seq":0'), "key 'seq' appears twice"),
        (HAND_BODY.replace(b"header", b"note"), "the first is no header"),
        (HAND_BODY.replace(b'"0.1.0"', b"NaN"), "NaN is not a number"),
        (HAND_BODY.replace(b'"0.1.0"', b"[1]"), "null or nested"),
        (HAND_BODY.replace(b'"version"', b'"h"'), "key 'h' appears twice"),
        (HAND_BODY.replace(b"0.1.0", b"\xff"), "not UTF-8"),
    ],
)
def test_a_line_with_a_right_hash_and_wrong_contents_is_refused(body: bytes, why: str) -> None:
    line = body[:-1] + b',"h":"' + log_format.chain(GENESIS, body) + b'"}\n'
    verdict = log_format.verify(line)
    assert (verdict.ok, verdict.records, verdict.first_bad) == (False, 0, 0)
    assert why in verdict.reason


def test_a_second_header_and_a_change_of_session_are_refused() -> None:
    assert (
        "header is not the first"
        in log_format.verify(b"".join(lines_of((Kind.HEADER, {}), (Kind.HEADER, {})))).reason
    )
    first = lines_of((Kind.HEADER, {}))[0]
    other, _ = encode_record(
        json.loads(first)["h"].encode(),
        stamp=Stamp(0, 0),
        boot=BOOT,
        seq=1,
        session="S-0002",
        kind="note",
        data={},
    )
    assert "session 'S-0002' is not 'S-0001'" in log_format.verify(first + other).reason


def test_nothing_at_all_is_not_a_log() -> None:
    assert log_format.verify(b"") == log_format.Verification(
        ok=False, records=0, first_bad=0, sealed=False, reason="empty: no header"
    )


def test_an_endless_line_is_not_read_to_its_end() -> None:
    assert log_format.verify(b"{" * 200_000 + b"\n").reason == "line 1: no complete line"


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_at_all_give_a_verdict(data: bytes) -> None:
    verdict = log_format.verify(data)
    assert verdict.ok is False
    assert log_format.is_sealed_tail(data) is False


@settings(max_examples=200)
@given(st.binary(max_size=300), st.integers(0, 6))
def test_any_bytes_after_a_good_beginning_leave_the_beginning_alone(tail: bytes, good: int) -> None:
    lines = a_log(7)
    beginning = b"".join(lines[:good])
    prefix = log_format.longest_valid_prefix(beginning + tail)
    assert len(prefix.records) == good
    assert prefix.size == len(beginning)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{2,12}", fullmatch=True).filter(
            lambda key: key not in log_format.RESERVED
        ),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
        | st.integers(-(2**63) + 1, 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.booleans(),
        max_size=8,
    )
)
def test_whatever_is_written_is_read_back_the_same(data: dict[str, Scalar]) -> None:
    line = lines_of((Kind.HEADER, data))[0]
    (record,) = log_format.longest_valid_prefix(line).records
    assert {key: record[key] for key in data} == data
    assert log_format.decode_line(line) == record


def test_a_footer_in_the_last_bytes_shows_without_the_rest_of_the_file() -> None:
    lines = a_log(6)
    assert log_format.is_sealed_tail(b"".join(lines)[len(lines[0]) + 10 :])
    assert not log_format.is_sealed_tail(b"".join(lines[:-1]))
    assert not log_format.is_sealed_tail(b"".join(lines) + b"x")
    assert not log_format.is_sealed_tail(b"".join([*lines[:-2], lines[-1]]))
