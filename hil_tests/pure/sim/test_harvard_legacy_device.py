"""The older Harvard pumps as the protocol page and their hosts describe them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_tests.pure.sim.harvard_host import Host
from sim.devices.harvard_frames import LINE_MAX
from sim.devices.harvard_legacy import LegacyPump
from sim.devices.harvard_legacy_kind import KIND
from sim.devices.harvard_legacy_numbers import parse, write
from sim.devices.kinds import PumpOptions
from sim.devices.quirks import QuirkError
from sim.mechanics import Mount

VECTORS = Path(__file__).parents[2] / "vectors" / "harvard_legacy_device.txt"


def made(*quirks: str, model: str = "11-plus", address: int = 0, mount: Mount = Mount()) -> Host:
    options = PumpOptions(model=model, address=address, quirks=quirks, mount=mount)
    return Host(KIND.make(options))


def pump_of(host: Host) -> LegacyPump:
    assert isinstance(host.pump, LegacyPump)
    return host.pump


def ready(*quirks: str, model: str = "11-plus") -> Host:
    """A pump with a rate of 3 mL/min."""
    host = made(*quirks, model=model)
    assert host.say("00MLM3")[-1:] == b":"
    return host


def vectors() -> list[tuple[str, bytes, bytes]]:
    rows = []
    for line in VECTORS.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            model, question, answer = (part.strip(" ") for part in f"{line} ".split("|"))
            unescaped = [
                text.encode().decode("unicode_escape").encode("latin-1")
                for text in (question, answer)
            ]
            rows.append((model, unescaped[0], unescaped[1]))
    return rows


@pytest.mark.parametrize("model", KIND.models)
def test_the_hand_written_exchanges_come_out_byte_for_byte(model: str) -> None:
    host = made(model=model)
    for of, question, answer in vectors():
        if of == model:
            assert host.send(question) == answer, question


def test_answers_have_the_lengths_that_hosts_read() -> None:
    host = ready()
    assert len(host.say("00VER")) == 17
    assert len(host.say("00DIA")) == len(host.say("00VOL")) == 15
    assert len(host.say("00RUN")) == 5


# -- lines and addresses ----------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", [b"12DIA\r", b"12dia\r", b"12 D I A\r\n", b"\n\x0012DIA\r"])
def test_spaces_and_case_do_not_matter(spelling: bytes) -> None:
    assert made(address=12).send(spelling) == b"\r\n  14.43 \r\n12:"


def test_no_address_is_address_0_and_others_are_silent() -> None:
    assert made().send(b"DIA\r")
    assert made(address=12).send(b"DIA\r") == b""
    assert made(address=12).send(b"0DIA\r") == b""


def test_an_answer_takes_its_time_on_the_line() -> None:
    pump = made().pump
    replies = pump.feed(b"00DIA\r00VER\r", 0.0)
    per_byte = 11 / 9_600
    assert replies[0][0] == pytest.approx((6 + 15) * per_byte, rel=1e-6)
    assert replies[1][0] == pytest.approx((6 + 15 + 6 + 17) * per_byte, rel=1e-6)
    instant = made("line=instant").pump
    assert [delay for delay, _ in instant.feed(b"00DIA\r00VER\r", 0.0)] == [0.0, 0.0]


# -- numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "thousandths", "written"),
    [
        ("14.43", 14_430, "14.43"),
        ("14.4375", 14_430, "14.43"),
        (".5", 500, "0.500"),
        ("0.4856", 485, "0.485"),
        ("3000", 3_000_000, "3000."),
        ("1000.", 1_000_000, "1000."),
        ("250.0", 250_000, "250.0"),
        ("0007", 7_000, "7.000"),
    ],
)
def test_numbers_have_five_characters(text: str, thousandths: int, written: str) -> None:
    assert parse(text) == thousandths
    assert write(thousandths) == written


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("MMD0.05", "OOR"),
        ("MMD51", "OOR"),
        ("MLM99", "OOR"),
        ("MLM0", "OOR"),
        ("ULM12345", "OOR"),
        ("RAT5", "?"),
        ("RAT5XX", "?"),
        ("MMD", "?"),
        ("MMD1.2.3", "?"),
        ("MMDnan", "?"),
        ("MODXXX", "?"),
        ("DIRUP", "?"),
        ("STPNOW", "?"),
        ("!", "?"),
    ],
)
def test_errors_are_one_word_and_change_nothing(command: str, word: str) -> None:
    host = made()
    host.wait(0.0)
    before = pump_of(host).snapshot()
    assert host.say(f"00{command}").decode() == f"\r\n{word}\r\n00:"
    before.sent_ns = pump_of(host).state.sent_ns
    assert pump_of(host).state == before


def test_without_a_rate_the_pump_does_not_start() -> None:
    assert made().say("00RUN") == b"\r\nNA\r\n00:"


# -- running ----------------------------------------------------------------------------------------


def test_a_target_in_volume_mode_ends_the_run_exactly() -> None:
    host = ready(model="phd2000")
    for command in ("00TGT1.500", "00MODVLM"):
        assert host.say(command) == b"\r\n0:"
    assert host.say("00RUN") == b"\r\n0>"
    host.wait(60.0)
    assert host.say("00DEL") == b"\r\n  1.500 \r\n0:"
    assert host.pump.truth().plunger_nl == 1_500_000


def test_in_pump_mode_the_target_is_nothing_to_the_motor() -> None:
    host = ready(model="phd2000")
    for command in ("00TGT1.500", "00RUN"):
        host.say(command)
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == 3_000_000


def test_an_interrupted_run_goes_on_for_the_rest_and_a_finished_one_begins_anew() -> None:
    host = ready()
    for command in ("00ULT1000", "00RUN"):
        host.say(command)
    host.wait(10.0)
    assert host.say("00STP") == b"\r\n00:"
    assert host.say("00RUN") == b"\r\n00>"
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == 1_000_000
    host.say("00RUN")
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == 2_000_000


def test_both_directions_have_rates_and_counters_of_their_own() -> None:
    host = made(model="microliter")
    for command in ("00MMD 4.61", "00ULM 600", "00ULMW 60", "00RUN"):
        host.say(command)
    host.wait(10.0)
    assert host.say("00RUNW") == b"\r\n00<"
    host.wait(10.0)
    host.say("00STP")
    assert host.say("00VOLW") == b"\r\n  10.00 \r\n00:"
    assert host.pump.truth().plunger_nl == 90_000
    host.say("00CLVW")
    assert host.say("00VOL") == b"\r\n  0.000 \r\n00:"
    host.say("00DIRINF")
    assert host.say("00VOL") == b"\r\n  100.0 \r\n00:"


def test_a_rate_can_change_while_running_and_the_direction_too() -> None:
    host = ready()
    host.say("00RUN")
    host.wait(10.0)
    host.say("00MLM6")
    host.wait(10.0)
    assert host.pump.truth().plunger_nl == 1_500_000
    assert host.say("00REV") == b"\r\n00<"
    host.wait(5.0)
    assert host.pump.truth().plunger_nl == 1_000_000


def test_a_stopped_pump_stands_still() -> None:
    host = ready()
    host.say("00RUN")
    host.wait(10.0)
    host.say("00STP")
    host.wait(60.0)
    truth = host.pump.truth()
    assert (truth.plunger_nl, truth.rate_nl_h) == (500_000, 0)
    assert host.pump.next_event(host.now) is None


def test_a_stall_shows_as_a_star_until_the_next_start() -> None:
    host = ready()
    host.say("00RUN")
    host.pump.inject("motor_stall", host.now)
    host.wait(1.0)
    assert host.say("00") == b"\r\n00*"
    host.pump.clear("motor_stall", host.now)
    assert host.say("00RUN") == b"\r\n00>"


def test_an_empty_syringe_is_a_stall() -> None:
    host = made(mount=Mount(diameter_um=14_430, capacity_nl=10_000_000, loaded_nl=500_000))
    for command in ("00MLM3", "00RUN"):
        host.say(command)
    host.wait(60.0)
    assert host.say("00") == b"\r\n00*"
    assert host.pump.truth().plunger_nl == 500_000


def test_power_and_protocol_faults() -> None:
    host = ready()
    host.say("00RUN")
    host.wait(10.0)
    assert host.pump.power_cycle(host.now) == []
    assert host.say("00VOL") == b"\r\n  0.000 \r\n00:"
    assert host.say("00RAT") == b"\r\n 3.000 ml/mn\r\n00:"
    host.pump.inject("mute", host.now)
    assert host.say("00RUN") == b""
    host.pump.clear("mute", host.now)
    host.pump.inject("stop_ignored", host.now)
    assert host.say("00STP") == b"\r\n00:"
    assert host.say("00") == b"\r\n00>"
    host.pump.inject("frame_drop", host.now, direction="from_pump", for_commands=1)
    assert host.say("00") == b""
    host.pump.inject("frame_drop", host.now, direction="to_pump", for_commands=1)
    assert host.say("00") == b""
    host.pump.inject("power_loss", host.now)
    assert host.say("00") == b""
    host.pump.clear(None, host.now)
    assert host.say("00STP") == b"\r\n00:"


def test_whoever_listens_is_told_each_command() -> None:
    host = ready()
    heard: list[str] = []
    host.pump.on_command = heard.append
    for line in ("00run", "00ULMW 3", "05STP", "00!", "00"):
        host.say(line)
    assert heard == ["RUN", "ULMW", "", ""]


def test_a_snapshot_is_the_whole_pump() -> None:
    host = ready()
    host.say("00RUN")
    host.wait(3.0)
    kept = pump_of(host).snapshot()
    host.wait(3.0)
    pump_of(host).restore(kept)
    assert host.pump.truth().plunger_nl == 150_000


# -- switches ---------------------------------------------------------------------------------------


def test_digits_of_the_address() -> None:
    assert made("address_digits=1", address=5).say("5") == b"\r\n5:"
    assert made("address_digits=2", address=5).say("5") == b"\r\n05:"
    assert made("address_digits=1", address=12).say("12") == b"\r\n12:"


def test_out_of_range_as_a_code_and_in_words() -> None:
    assert made().say("00MMD99") == b"\r\nOOR\r\n00:"
    assert made("out_of_range=words").say("00MMD99") == b"\r\nOut of range\r\n00:"


def test_the_prompt_after_a_stop() -> None:
    for position, prompt in (("stopped", b":"), ("interrupted", b"*")):
        host = ready(f"stop_prompt={position}")
        host.say("00RUN")
        assert host.say("00STP")[-1:] == prompt
        assert host.say("00CLV")[-1:] == b":"


@pytest.mark.parametrize(
    ("position", "prompt"), [("stopped", b"00:"), ("interrupted", b"00*"), ("target", b"00*T")]
)
def test_the_prompt_after_the_target(position: str, prompt: bytes) -> None:
    host = ready(f"target_prompt={position}")
    for command in ("00ULT10", "00RUN"):
        host.say(command)
    host.wait(10.0)
    assert host.say("00") == b"\r\n" + prompt


def test_stop_on_a_stopped_and_run_on_a_running_pump() -> None:
    assert ready().say("00STP") == b"\r\n00:"
    assert ready("stop_when_stopped=na").say("00STP") == b"\r\nNA\r\n00:"
    for position, answer in (("ok", b"\r\n00>"), ("na", b"\r\nNA\r\n00>")):
        host = ready(f"run_when_running={position}")
        host.say("00RUN")
        assert host.say("00RUN") == answer


def test_reverse_on_a_stopped_pump() -> None:
    toggled = ready()
    assert toggled.say("00REV") == b"\r\n00:"
    assert toggled.say("00RUN") == b"\r\n00<"
    assert ready("rev_when_stopped=run").say("00REV") == b"\r\n00<"


@pytest.mark.parametrize(
    ("position", "rate", "moved", "shown"),
    [
        ("ml", "MLM3", 2_000_000, b"  2.000 "),
        ("ml", "ULM3000", 2_000_000, b"  2.000 "),
        ("ul", "MLM3", 2_000_000, b"  2000. "),
        ("of_rate", "MLM3", 2_000_000, b"  2.000 "),
        ("of_rate", "ULM3000", 2_000, b"  2.000 "),
    ],
)
def test_the_unit_of_volumes(position: str, rate: str, moved: int, shown: bytes) -> None:
    host = made(f"volume_unit={position}")
    for command in (rate, "MLT2", "RUN"):
        host.say(command)
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == moved
    assert host.say("VOL") == b"\r\n" + shown + b"\r\n00:"


@pytest.mark.parametrize(
    ("position", "moved"), [("since_start", 2_000_000), ("since_clear", 1_000_000)]
)
def test_what_the_target_counts(position: str, moved: int) -> None:
    host = ready(f"target_counts={position}")
    for command in ("ULT1000", "RUN"):
        host.say(command)
    host.wait(60.0)
    host.say("RUN")
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == moved


@pytest.mark.parametrize("model", KIND.models)
def test_every_switch_of_every_model_has_only_known_positions(model: str) -> None:
    for name, positions in KIND.quirks.items():
        for position in positions:
            made(f"{name}={position}", model=model)
    with pytest.raises(QuirkError, match="volume_unit"):
        made("volume_unit=pints", model=model)


# -- any bytes --------------------------------------------------------------------------------------

TEXTS = st.sampled_from(
    [
        "RUN",
        "RUNW",
        "REV",
        "STP",
        "VOL",
        "DIA",
        "MMD10",
        "MLM3",
        "ULM12.5",
        "RAT",
        "ULT100",
        "MLT1",
        "CLT",
        "CLV",
        "DIRREF",
        "MODPMP",
        "XYZ",
        "05VER",
    ]
)
LINES = TEXTS.map(lambda text: text.encode() + b"\r")
STREAMS = st.lists(st.one_of(st.binary(max_size=30), LINES), max_size=12).map(b"".join)


@given(st.lists(st.tuples(STREAMS, st.floats(0, 20)), max_size=4))
def test_any_bytes_at_any_time_never_raise_and_never_pile_up(
    arrivals: list[tuple[bytes, float]],
) -> None:
    host = made()
    for data, later in arrivals:
        host.send(data)
        assert len(pump_of(host).state.buffer) <= LINE_MAX + 1
        host.wait(later)
    host.send(b"\r")
    assert host.send(b"DIA\r")[-4:-1] == b"\n00"


@given(STREAMS, st.lists(st.integers(0, 300), max_size=10))
def test_any_split_of_a_stream_gives_the_same_answers(stream: bytes, cuts: list[int]) -> None:
    whole, split = made(), made()
    expected = whole.send(stream)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    assert b"".join(split.send(stream[a:b]) for a, b in pairwise(edges)) == expected
    assert pump_of(split).state == pump_of(whole).state


# -- hosts in the field -----------------------------------------------------------------------------


def test_a_host_that_ends_its_wait_when_two_volumes_are_equal() -> None:
    """It reads 15 bytes of each answer, and gives up when the first shows a stopped pump."""
    host = made()
    for command in ("00MMD14.43", "00ULM3000", "00MLT60", "00RUN"):
        host.say(command)
    previous = b""
    for _ in range(1_000):
        replies = host.pump.feed(b"00VOL\r", host.now)
        host.now += replies[0][0]
        answer = replies[0][1]
        assert len(answer) == 15
        if answer == previous or b":" in answer:
            break
        previous = answer
    assert host.pump.truth().plunger_nl == 60_000


def test_a_host_that_splits_lines_and_looks_at_the_third() -> None:
    host = ready(model="phd2000")
    answer = host.say("00MOD").decode().splitlines()
    assert answer[1].strip() == "PUMP"
    assert answer[2][1] == ":"
    answer = host.say("00RAT").decode().splitlines()
    field = answer[1].strip()
    assert (field[:6].strip(), field[6:].strip()) == ("3.000", "ml/mn")
