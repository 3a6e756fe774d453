"""What a pump lacks: said by name, supplied or refused; and the word a clinical pump needs."""

from __future__ import annotations

import pytest

from firmware_bridge.declaration import declared_by, undeclared
from firmware_bridge.dialects import BUILT_IN, make_dialect, parse_pump_url
from firmware_bridge.errors import ConfigurationError
from firmware_bridge.lacking import INSTEAD, NEEDED_BY_PROCEDURES, lacking, missing_for, names
from firmware_bridge.messages import Bolus, Capability, Configure, Run, SelfTest, SetRate
from firmware_bridge.pump import open_pump

EVERYTHING = Capability((1 << 13) - 1)


def test_everything_a_pump_may_lack_is_somebodys_affair() -> None:
    assert set(INSTEAD) == set(Capability) - {Capability.NONE, Capability.CLINICAL}
    assert lacking(EVERYTHING) == {}
    assert set(lacking(Capability.NONE)) == set(INSTEAD)


def test_no_dead_man_is_said_as_bounded_by_target() -> None:
    assert "bounded by target" in lacking(EVERYTHING & ~Capability.DEAD_MAN)[Capability.DEAD_MAN]


@pytest.mark.parametrize(
    ("order", "without", "words"),
    [
        (Run, Capability.VOLUME_TARGET, "volume target"),
        (Bolus, Capability.VOLUME_TARGET, "volume target"),
        (SetRate, Capability.RATE_WHILE_RUNNING, "rate while running"),
        (SelfTest, Capability.DEAD_MAN, "dead man"),
    ],
)
def test_an_order_that_the_pump_cannot_carry_out_is_named(
    order: type, without: Capability, words: str
) -> None:
    assert missing_for(order, EVERYTHING & ~without) == words
    assert missing_for(order, EVERYTHING) == ""
    assert missing_for(Configure, Capability.NONE) == ""


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_is_said_of_a_family_is_what_its_dialect_says(name: str) -> None:
    kind = BUILT_IN[name]
    dialect = make_dialect(parse_pump_url(f"{name}:/dev/ttyUSB0"))
    assert kind.capabilities is not None
    assert kind.capabilities == dialect.capabilities


def test_what_procedures_refuse_a_harvard_pump_for_is_its_dead_man() -> None:
    harvard = BUILT_IN["harvard"].capabilities
    assert harvard is not None
    assert names(NEEDED_BY_PROCEDURES & ~harvard) == "dead man"


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\nb", "\x1b[1m"])
def test_a_declaration_needs_a_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match="--declare-not-connected"):
        declared_by(name)


def test_only_a_clinical_pump_asks_for_one() -> None:
    assert declared_by(" A. Ward ") == "A. Ward"
    assert undeclared(Capability.DEAD_MAN, "") == ""
    assert undeclared(None, "") == ""
    assert undeclared(Capability.CLINICAL, "A. Ward") == ""
    assert "connected to nobody" in undeclared(Capability.CLINICAL, "")


async def test_a_clinical_pump_is_not_opened_from_python_either() -> None:
    with pytest.raises(ConfigurationError, match="clinical pump"):
        async with open_pump("alaris:/dev/not-there"):
            pytest.fail("opened")
