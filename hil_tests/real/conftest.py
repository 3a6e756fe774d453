"""Brokers for the tests on the real clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller import mqtt
from hil_tests.real.mqtt_bench import Amqtt, Mosquitto, needs_mosquitto


@pytest.fixture
async def amqtt(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Amqtt]:
    monkeypatch.setattr(
        mqtt, "TRY_S", 0.3
    )  # it falls silent at MQTT 5; no need to wait long for it
    made = Amqtt()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def mosquitto(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    made = Mosquitto(tmp_path)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(params=["amqtt", pytest.param("mosquitto", marks=needs_mosquitto)])
def broker(request: pytest.FixtureRequest) -> Amqtt | Mosquitto:
    made: Amqtt | Mosquitto = request.getfixturevalue(request.param)
    return made
