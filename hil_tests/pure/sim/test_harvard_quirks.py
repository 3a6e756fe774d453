"""Every unconfirmed behaviour of Elite, PHD Ultra and Legato pumps as a switch, in every position."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.harvard_host import made
from sim.devices.harvard_kind import KIND
from sim.devices.harvard_models import MODELS
from sim.devices.kinds import PumpOptions
from sim.devices.quirks import QuirkError


@pytest.mark.parametrize(
    ("position", "plain", "addressed"),
    [
        ("none", b"\n0 ul\r\n:", b"\n0 ul\r\n:"),
        ("00", b"\n00:0 ul\r\n00:", b"\n00:0 ul\r\n00:"),
        ("when_addressed", b"\n0 ul\r\n:", b"\n00:0 ul\r\n00:"),
    ],
)
def test_digits_at_address_0(position: str, plain: bytes, addressed: bytes) -> None:
    host = made(f"address0_prefix={position}")
    assert host.say("ivolume") == plain
    assert host.say("00ivolume") == addressed
    assert host.say("0ivolume") == addressed


@pytest.mark.parametrize(
    ("model", "position"),
    [
        ("legato-100", "none"),
        ("11-elite", "when_addressed"),
        ("phd-ultra", "when_addressed"),
    ],
)
def test_a_model_picks_its_own_default_and_the_user_has_the_last_word(
    model: str, position: str
) -> None:
    expected = b"\n00:" if position == "when_addressed" else b"\n:"
    assert made(model=model).say("00") == expected
    assert made("address0_prefix=none", model=model).say("00") == b"\n:"


@pytest.mark.parametrize(
    ("profile", "status"),
    [
        ("elite", "16666666666 336000000 100000000000 I...I."),
        ("phd_ultra", "16666666666 6 100000000000 I...I"),
        ("legato", "16666666666 6000 100000000000 I...I."),
    ],
)
def test_a_profile_has_its_form_of_status(profile: str, status: str) -> None:
    host = made(f"profile={profile}")
    host.tell("irun")
    host.wait(6.0)
    assert host.ask("status") == status


@pytest.mark.parametrize(
    ("form", "time", "flags"),
    [("cycles", "336000000", 6), ("milliseconds", "6000", 6), ("seconds", "6", 5)],
)
def test_the_form_of_status_can_be_chosen_whatever_the_profile(
    form: str, time: str, flags: int
) -> None:
    host = made(f"status_form={form}")
    host.tell("irun")
    host.wait(6.0)
    words = host.ask("status").split()
    assert words[1] == time
    assert len(words[3]) == flags


def test_under_the_profile_of_another_family_the_pump_says_it_is_of_that_family() -> None:
    assert made("profile=elite").ask("ver") == "11 ELITE I/W Single 3.0.4"
    assert made("profile=phd_ultra").ask("ver") == "PHD ULTRA 3.0.5"
    assert made("profile=legato", model="11-elite").ask("ver") == "Legato 100 3.0.6"
    assert made("profile=legato", model="legato-110").ask("ver") == "Legato 110 3.0.6"


def test_profiles_differ_in_the_answer_to_a_new_address() -> None:
    assert made("profile=legato").say("addr 2") == b"\nPump address set to 2\r\n02:"
    assert made("profile=elite").say("addr 2") == b"\nPump address is 2\r\n02:"


def test_older_firmware_knows_only_nvram_off() -> None:
    assert made().say("nvram none") == b"\n:"
    assert made().say("nvram off") == b"\n:"
    old = made("nvram_word=off")
    assert old.say("nvram none") == b"\nArgument error: none\r\n   Unknown argument\r\n:"
    assert old.say("nvram off") == b"\n:"


@pytest.mark.parametrize(
    ("counts", "moved"), [("since_clear", 1_000_000), ("since_run", 2_000_000)]
)
def test_what_the_target_volume_counts(counts: str, moved: int) -> None:
    host = made(f"target_counts={counts}")
    host.tell("irate 6 ml/min", "tvolume 1 ml", "irun")
    host.wait(60.0)
    host.tell("irun")
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == moved


@pytest.mark.parametrize(
    ("counts", "moved"), [("since_clear", 1_000_000), ("since_run", 2_000_000)]
)
def test_what_the_target_time_counts(counts: str, moved: int) -> None:
    host = made(f"target_counts={counts}")
    host.tell("irate 6 ml/min", "ttime 10", "irun")
    host.wait(60.0)
    host.tell("irun")
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == moved


def test_poll_mode_after_power_up() -> None:
    assert made().say("") == b"\n:"
    host = made("poll_default=on")
    assert host.say("") == b"\n:\x11"
    host.say("poll off")
    host.pump.power_cycle(host.now)
    assert host.say("") == b"\n:\x11"


@pytest.mark.parametrize(
    ("position", "at_target", "at_stall"),
    [("target", b"\nT*", b""), ("all", b"\nT*", b"\n*"), ("none", b"", b"")],
)
def test_which_prompts_come_unasked(position: str, at_target: bytes, at_stall: bytes) -> None:
    host = made(f"unasked_prompts={position}")
    host.tell("tvolume 1 ml", "irun")
    assert host.wait(60.0) == at_target
    host.tell("ctvolume", "irun")
    host.pump.inject("motor_stall", host.now)
    assert host.wait(1.0) == at_stall
    assert host.tell("") == "*"


def test_what_follows_a_ramp() -> None:
    for position, prompt, moved in (("target", "T*", 500_000), ("hold", ">", 3_500_000)):
        host = made(f"ramp_end={position}")
        host.tell("iramp 2 ml/min 4 ml/min 10", "irun")
        host.wait(55.0)
        assert host.tell("") == prompt
        assert host.pump.truth().plunger_nl == pytest.approx(moved, abs=1)


def test_a_target_set_while_running() -> None:
    refused = made("target_while_running=refuse")
    refused.tell("irun")
    for command in ("tvolume 1 ml", "ttime 5"):
        assert refused.say(command).startswith(b"\nCommand error:")
    accepted = made()
    accepted.tell("irun")
    assert accepted.tell("tvolume 1 ml") == ">"


def test_the_time_in_which_a_rate_is_answered() -> None:
    for position, shown in (("minute", "83.3333 ul/min"), ("as_set", "5 ml/hr")):
        host = made(f"rate_unit={position}")
        host.tell("irate 5 ml/hr")
        assert host.ask("irate") == shown


def test_long_and_short_answers_to_poll_and_echo() -> None:
    assert made().ask("poll") == "Polling mode is OFF"
    assert made("mode_texts=short").ask("poll") == "OFF"
    assert made("mode_texts=short").ask("echo") == "OFF"


@pytest.mark.parametrize("model", MODELS)
def test_every_switch_of_every_model_has_only_known_positions(model: str) -> None:
    assert model in KIND.models
    for name, positions in KIND.quirks.items():
        for position in positions:
            made(f"{name}={position}", model=model)
    with pytest.raises(QuirkError, match="address0_prefix"):
        KIND.make(PumpOptions(model=model, quirks=("address0_prefix=maybe",)))
