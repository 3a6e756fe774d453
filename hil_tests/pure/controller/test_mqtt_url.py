"""Addresses of brokers, and passwords that never show."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controller.mqtt_url import (
    PASSWORD,
    PASSWORD_FILE,
    Broker,
    Embedded,
    MqttUrlError,
    Off,
    broker_password,
    parse_mqtt_url,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("off", Off()),
        ("embedded", Embedded(0)),
        ("embedded:1883", Embedded(1883)),
        ("mqtt://broker", Broker("broker", 1883, tls=False)),
        ("mqtt://broker/", Broker("broker", 1883, tls=False)),
        ("mqtt://10.0.0.7:2883", Broker("10.0.0.7", 2883, tls=False)),
        ("mqtts://broker.lan", Broker("broker.lan", 8883, tls=True)),
        ("mqtt://ward@broker:1884", Broker("broker", 1884, tls=False, user="ward")),
        ("mqtt://[::1]:1883", Broker("::1", 1883, tls=False)),
        ("mqtts://[fe80::1]", Broker("fe80::1", 8883, tls=True)),
    ],
)
def test_every_published_form_is_understood(text: str, address: object) -> None:
    assert parse_mqtt_url(text, {}) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is not mqtt://"),
        ("broker", "'broker' is not mqtt://"),
        ("http://broker", "'http://broker' is not mqtt://"),
        ("mqtt://", "'mqtt://' is not"),
        ("mqtt://broker/topic", "is not mqtt://"),
        ("mqtt://broker?x=1", "is not mqtt://"),
        ("mqtt://broker#x", "is not mqtt://"),
        ("mqtt://[::1", "is not mqtt://"),
        ("mqtt://broker:0", "port '0' is not 1 to 65535"),
        ("mqtt://broker:65536", "port '65536' is not 1 to 65535"),
        ("mqtt://broker:", "port '' is not 1 to 65535"),
        ("mqtt://broker:x", "port 'x' is not 1 to 65535"),
        ("embedded:", "port '' is not 1 to 65535"),
        ("embedded:-1", "port '-1' is not 1 to 65535"),
        ("embedded:\u0661", "is not 1 to 65535"),
    ],
)
def test_anything_else_is_one_clear_line(text: str, why: str) -> None:
    with pytest.raises(MqttUrlError) as caught:
        parse_mqtt_url(text, {})
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["mqtt://ward:hunter2@broker", "mqtt://ward:hunter2@", "http://ward:hunter2@broker"]
)
def test_a_password_in_a_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(MqttUrlError) as caught:
        parse_mqtt_url(text, {})
    assert "hunter2" not in str(caught.value)


@given(st.text(max_size=40))
@example("mqtt://[")
@example("mqtt://\u2100")
def test_any_text_gives_an_address_or_the_one_error(text: str) -> None:
    with contextlib.suppress(MqttUrlError):
        parse_mqtt_url(text, {})


def test_the_password_comes_from_the_environment_only_with_a_user() -> None:
    environment = {PASSWORD: "hunter2"}
    with_user = parse_mqtt_url("mqtt://ward@broker", environment)
    assert isinstance(with_user, Broker)
    assert with_user.password == "hunter2"
    assert "hunter2" not in f"{with_user} {with_user!r}"
    without = parse_mqtt_url("mqtt://broker", environment)
    assert isinstance(without, Broker)
    assert without.password is None
    assert str(parse_mqtt_url("mqtts://[::1]", {})) == "mqtts://[::1]:8883"


def test_the_password_comes_from_a_file_that_nobody_else_can_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("hunter2\n")
    path.chmod(0o600)
    assert broker_password({PASSWORD_FILE: str(path)}) == "hunter2"
    path.chmod(0o640)
    with pytest.raises(MqttUrlError, match=r"must be readable by you alone \(mode 0600\)"):
        broker_password({PASSWORD_FILE: str(path)})


@pytest.mark.parametrize(
    ("contents", "why"),
    [(None, "No such file"), (b"\xff", "not UTF-8"), (b"x" * 2000, "longer than 1024 bytes")],
)
def test_a_password_file_that_cannot_be_used_is_one_clear_line(
    tmp_path: Path, contents: bytes | None, why: str
) -> None:
    path = tmp_path / "secret"
    if contents is not None:
        path.write_bytes(contents)
        path.chmod(0o600)
    with pytest.raises(MqttUrlError, match=why):
        broker_password({PASSWORD_FILE: str(path)})


def test_without_a_password_there_is_none() -> None:
    assert broker_password({}) is None
