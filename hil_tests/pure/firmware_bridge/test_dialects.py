"""Pump URLs: what is understood, and the one sentence for what is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.dialect import Ask
from firmware_bridge.dialects import (
    BUILT_IN,
    PumpUrl,
    dialect_kind,
    dialect_names,
    make_dialect,
    parse_pump_url,
)
from firmware_bridge.errors import ConfigurationError
from firmware_bridge.quantities import Duration


@pytest.mark.parametrize(
    ("text", "port", "baud", "address"),
    [
        ("new-era:/dev/ttyUSB0", "/dev/ttyUSB0", 19_200, 0),
        ("new-era:COM3", "COM3", 19_200, 0),
        ("new-era:/dev/ttyUSB0?baud=9600", "/dev/ttyUSB0", 9_600, 0),
        ("new-era:socket://127.0.0.1:5000?address=13&baud=300", "socket://127.0.0.1:5000", 300, 13),
        ("new-era:rfc2217://bench:4001?address=99", "rfc2217://bench:4001", 19_200, 99),
    ],
)
def test_a_pump_url_names_dialect_port_and_options(
    text: str, port: str, baud: int, address: int
) -> None:
    assert parse_pump_url(text) == PumpUrl(
        dialect="new-era", port=port, simulated=False, baud=baud, address=address
    )


def test_a_simulated_pump_names_no_port() -> None:
    url = parse_pump_url("sim:new-era?address=4")
    assert (url.simulated, url.dialect, url.port, url.address) == (True, "new-era", "", 4)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not DIALECT:PORT"),
        ("new-era", "is not DIALECT:PORT"),
        ("new-era:", "is not DIALECT:PORT"),
        ("new-era:?baud=9600", "is not DIALECT:PORT"),
        ("/dev/ttyUSB0", "is not DIALECT:PORT"),
        ("graseby:/dev/ttyUSB0", "dialect 'graseby' does not exist; there are"),
        ("sim:graseby", "dialect 'graseby' does not exist; there are"),
        ("New-Era:/dev/ttyUSB0", "dialect 'New-Era' does not exist"),
        ("new-era:x?parity=E", "option 'parity' does not exist; there are baud, address"),
        ("new-era:x?baud=115200", "baud 115200 is not one of 300, 1200, 2400, 9600, 19200"),
        ("new-era:x?baud=0", "baud 0 is not one of"),
        ("new-era:x?baud=", "baud '' is not a whole number"),
        ("new-era:x?baud=-9600", "baud '-9600' is not a whole number"),
        ("new-era:x?baud=9600.0", "baud '9600.0' is not a whole number"),
        ("new-era:x?baud=\u0669\u0666\u0660\u0660", "is not a whole number"),
        ("new-era:x?address=100", "address 100 is above 99"),
        ("new-era:x?address=1&address=2", "option 'address' is there twice"),
        ("new-era:x?", "option '' is not NAME=VALUE"),
        ("new-era:x?baud", "option 'baud' is not NAME=VALUE"),
        ("new-era:x\n", "not printable, or too long"),
        ("new-era:" + "x" * 300, "not printable, or too long"),
    ],
)
def test_what_is_wrong_with_a_pump_url_is_said_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_pump_url(text)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=40))
def test_any_text_is_a_pump_url_or_a_configuration_error(text: str) -> None:
    for url in (text, f"new-era:{text}", f"new-era:x?{text}"):
        try:
            parsed = parse_pump_url(url)
        except ConfigurationError:
            continue
        assert parsed.baud in dialect_kind(parsed.dialect).bauds


def test_the_new_era_dialect_is_made_for_its_port_and_address() -> None:
    dialect = make_dialect(parse_pump_url("new-era:/dev/ttyUSB0?address=7"))
    assert dialect.name == "new-era"
    step = next(dialect.connect())
    assert isinstance(step, Ask)
    assert b"7STP" in step.frame


@pytest.mark.parametrize(
    ("baud", "asked_ms", "given_ms"),
    [
        (19_200, 500, 500),
        (9_600, 500, 500),
        (2_400, 500, 1_000),
        (300, 500, 2_133),
        (300, 9_000, 9_000),
    ],
)
def test_a_slow_line_gets_more_time_to_answer(baud: int, asked_ms: int, given_ms: int) -> None:
    url = parse_pump_url(f"new-era:x?baud={baud}")
    step = next(make_dialect(url, reply_within=Duration(asked_ms)).connect())
    assert step.within == Duration(given_ms)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A distribution of somebody else's that brings dialects by entry point."""
    module = "a_dialect_of_somebody_elses"
    (tmp_path / f"{module}.py").write_text(
        "from firmware_bridge.dialects import DialectKind\n"
        "from firmware_bridge.protocols.new_era import NewEra\n"
        "class Bare:\n    host = 'no kind'\n"
        "host = DialectKind(name='drip', make=lambda url, within: NewEra(port=url.port),\n"
        "                   bauds=(9600,), baud=9600, address_max=0)\n",
        encoding="utf-8",
    )
    info = tmp_path / "somebody_elses-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody-elses\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[infusor.dialects]\n"
        f"drip = {module}\nbare = {module}:Bare\nhollow = {module}:nothing\ngone = not_there_at_all\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, module, raising=False)
    return module


@pytest.mark.usefixtures("installed")
def test_an_installed_dialect_is_found_by_its_entry_point() -> None:
    assert dialect_names() == sorted({"bare", "drip", "gone", "hollow", *BUILT_IN})
    url = parse_pump_url("drip:/dev/ttyACM0")
    assert (url.dialect, url.baud) == ("drip", 9_600)
    assert make_dialect(url).name == "new-era"
    with pytest.raises(ConfigurationError, match="address 1 is above 0"):
        parse_pump_url("drip:x?address=1")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("bare", "offers no DialectKind as host"),
        ("hollow", "could not be loaded"),
        ("gone", "could not be loaded: No module named"),
    ],
)
def test_a_broken_plug_in_is_named(name: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=f"dialect '{name}' .*{sentence}"):
        parse_pump_url(f"{name}:x")
