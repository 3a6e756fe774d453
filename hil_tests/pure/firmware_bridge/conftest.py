"""A New Era dialect and the pump it talks to, at the three stages that tests begin from."""

from __future__ import annotations

import pytest

from firmware_bridge.protocols.new_era import NewEra
from hil_tests.pure.firmware_bridge.new_era_double import BD_20, LEASE, RATE, TARGET, Double, play


@pytest.fixture
def dialect() -> NewEra:
    return NewEra(port="bench")


@pytest.fixture
def pump() -> Double:
    return Double()


@pytest.fixture
def ready(dialect: NewEra, pump: Double) -> NewEra:
    """Connected, configured, nothing started."""
    play(dialect.connect(), dialect, pump)
    play(dialect.configure(BD_20), dialect, pump)
    pump.heard.clear()
    return dialect


@pytest.fixture
def running(ready: NewEra, pump: Double) -> NewEra:
    play(ready.start(RATE, TARGET, LEASE), ready, pump)
    pump.heard.clear()
    return ready
