"""What is told days later: beside the sealed log, chained, and about this log and no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cli.main import main
from controller.event_log import EventLog, Header
from controller.followup import FollowUp, FollowUpError, beside, follow_ups, more
from controller.log_format import Stamp, longest_valid_prefix, verify
from controller.log_storage import MemoryStorage


def sealed(session: str = "S-0001", *, seal: bool = True) -> bytes:
    storage = MemoryStorage()
    header = Header("0", "bench-1", "ketamine-first-visit", "", simulated=True, extra={"drug": "k"})
    log = EventLog.create(
        storage,
        header,
        session=session,
        boot="0" * 12,
        stamp=lambda: Stamp(1_000, 0),
        on_failure=lambda _error: None,
    )
    if seal:
        log.seal({"outcome": "completed"})
    return storage.contents()


LOG = longest_valid_prefix(sealed())
ENTRY = FollowUp(60.0, "nurse", pain_0_10=3.0, side_effects="mild nausea")


def test_an_entry_is_a_chained_record_whose_header_names_the_log() -> None:
    written = more(LOG, "log.jsonl", b"", ENTRY, 2_000)
    assert verify(written).ok
    [header, entry] = longest_valid_prefix(written).records
    assert (header["log"], header["log_h"]) == ("log.jsonl", LOG.h.decode())
    assert (entry["benefit_h"], entry["by"], entry["pain_0_10"]) == (60.0, "nurse", 3.0)
    assert "mood_0_10" not in entry


def test_a_second_entry_is_chained_to_the_first() -> None:
    first = more(LOG, "log.jsonl", b"", ENTRY, 2_000)
    both = first + more(LOG, "log.jsonl", first, FollowUp(0.0, "nurse"), 3_000)
    assert verify(both).ok
    assert [r["benefit_h"] for r in follow_ups(both, LOG)] == [60.0, 0.0]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (FollowUp(-1.0, "nurse"), "benefit_h = -1: must be 0 to 8760 h"),
        (FollowUp(float("nan"), "nurse"), "benefit_h"),
        (FollowUp(float("inf"), "nurse"), "benefit_h"),
        (FollowUp(1.0, "nurse", pain_0_10=11.0), "pain_0_10 = 11: must be 0 to 10 points"),
        (FollowUp(1.0, "nurse", mood_0_10=-0.5), "mood_0_10"),
        (FollowUp(1.0, " "), "named role"),
    ],
)
def test_an_entry_outside_its_limits_is_refused_with_the_limit(entry: FollowUp, why: str) -> None:
    with pytest.raises(FollowUpError, match=why):
        more(LOG, "log.jsonl", b"", entry, 2_000)


def test_a_visit_that_did_not_end_or_a_damaged_log_has_no_follow_up() -> None:
    open_log = longest_valid_prefix(sealed(seal=False))
    with pytest.raises(FollowUpError, match="did not end"):
        more(open_log, "log.jsonl", b"", ENTRY, 2_000)
    damaged = longest_valid_prefix(sealed().replace(b"completed", b"comple7ed"))
    with pytest.raises(FollowUpError, match="chain"):
        more(damaged, "log.jsonl", b"", ENTRY, 2_000)


def test_the_follow_ups_of_another_log_are_not_continued() -> None:
    other = longest_valid_prefix(sealed("S-0002"))
    written = more(other, "other.jsonl", b"", ENTRY, 2_000)
    assert follow_ups(written, other)
    assert follow_ups(written, LOG) == []
    with pytest.raises(FollowUpError, match="about another log"):
        more(LOG, "log.jsonl", written, ENTRY, 3_000)
    with pytest.raises(FollowUpError, match="damaged"):
        more(LOG, "log.jsonl", written[:-3], ENTRY, 3_000)


@given(st.binary(max_size=200))
def test_any_bytes_beside_a_log_are_follow_ups_or_an_error(raw: bytes) -> None:
    assert follow_ups(raw, LOG) == []
    if raw:
        with pytest.raises(FollowUpError):
            more(LOG, "log.jsonl", raw, ENTRY, 2_000)


def test_the_command_leaves_the_log_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "bench-1.S-0001.jsonl"
    log.write_bytes(sealed())
    assert main(["log", "followup", str(log), "--benefit-h", "48", "--by", "nurse"]) == 0
    assert log.read_bytes() == sealed()
    assert beside(log) == tmp_path / "bench-1.S-0001.followup.jsonl"
    capsys.readouterr()
    assert main(["log", "show", str(log)]) == 0
    assert "followup: benefit 48 h, by nurse" in capsys.readouterr().out
    assert main(["log", "verify", str(beside(log)), "--json"]) == 0
    assert '"ok": true' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "why"),
    [([], "--benefit-h is required"), (["--benefit-h", "-3"], "must be 0 to 8760 h")],
)
def test_a_wrong_entry_is_one_line_and_exit_code_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], why: str
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(sealed())
    assert main(["log", "followup", str(log), *options]) == 2
    told = capsys.readouterr().err
    assert why in told
    assert told.count("\n") == 1
    assert not beside(log).exists()
