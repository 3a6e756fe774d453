"""The absolute caps: what the shipped file says, and what a wrong file says about itself."""

from __future__ import annotations

import pytest

from firmware_bridge.caps import Caps, load_caps, parse_caps
from firmware_bridge.errors import ConfigurationError
from firmware_bridge.quantities import Concentration, Duration, Rate, Volume

GOOD = {
    "rate_ml_h_max": "1200",
    "volume_ml_per_command_max": "60",
    "volume_ml_total_max": "60",
    "time_s_max": "86400",
    "concentration_mg_ml_max": "100",
    "lease_s_min": "1",
    "lease_s_max": "10",
}


def text(**changes: str) -> str:
    return "\n".join(f"{key} = {value}" for key, value in {**GOOD, **changes}.items())


def test_the_shipped_caps_are_these() -> None:
    assert load_caps() == Caps(
        rate_max=Rate.from_ml_h(1200),
        volume_per_command_max=Volume.from_ml(60),
        volume_total_max=Volume.from_ml(60),
        time_max=Duration.from_s(86_400),
        concentration_max=Concentration.from_mg_ml(100),
        lease_min=Duration.from_s(1),
        lease_max=Duration.from_s(10),
    )


@pytest.mark.parametrize("key", GOOD)
@pytest.mark.parametrize("value", ['"60"', "nan", "inf", "-1", "true", "[]"])
def test_a_value_that_is_no_quantity_names_its_key(key: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=key):
        parse_caps(text(**{key: value}))


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown keys: rate_max"):
        parse_caps(text(rate_max="1"))


def test_a_missing_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="lease_s_min"):
        parse_caps("\n".join(text().splitlines()[:5]))


def test_a_lease_span_upside_down_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="lease_s_min: 11 s is above lease_s_max, 10 s"):
        parse_caps(text(lease_s_min="11"))


def test_text_that_is_not_toml_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="caps"):
        parse_caps("rate_ml_h_max 5")


@pytest.mark.parametrize(
    ("floor_ms", "shortest_ms", "longest_ms"),
    [
        (250, 1_000, 10_000),
        (1_000, 1_000, 10_000),
        (1_001, 1_001, 10_000),
        (30_000, 30_000, 60_000),
        (40_000, 40_000, 65_535),
        (65_535, 65_535, 65_535),
    ],
)
def test_scaled_time_makes_room_for_a_lease_of_250_ms_of_wall_time(
    floor_ms: int, shortest_ms: int, longest_ms: int
) -> None:
    caps = load_caps().stretched(Duration(floor_ms))
    assert (caps.lease_min.ms, caps.lease_max.ms) == (shortest_ms, longest_ms)


def test_a_speed_whose_lease_does_not_fit_the_wire_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"65\.535 s"):
        load_caps().stretched(Duration(65_536))
