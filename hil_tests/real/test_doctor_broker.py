"""The broker self-test of `infusor doctor`, on real brokers: what must be refused is tried."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import aiomqtt
import pytest

from controller.doctor_broker import broker_checks
from controller.doctor_checks import Check, Level
from controller.mqtt_url import Broker, Embedded

pytestmark = pytest.mark.real

StartMosquitto = Callable[..., Broker]
PASSWORD = "between us"


def self_test(address: Broker | Embedded, connect_s: float = 5.0) -> dict[str, Check]:
    return {c.name: c for c in asyncio.run(broker_checks(address, connect_s=connect_s))}


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[StartMosquitto]:
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("mosquitto is not installed")
    started: list[subprocess.Popen[bytes]] = []

    def start(*lines: str) -> Broker:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        config = tmp_path / "mosquitto.conf"
        config.write_text(
            "\n".join((f"listener {port} 127.0.0.1", f"user {getpass.getuser()}", *lines, ""))
        )
        output = (tmp_path / "mosquitto.log").open("wb")
        with output:
            started.append(
                subprocess.Popen([program, "-c", str(config)], stdout=output, stderr=output)
            )
        asyncio.run(_accepting(port))
        return Broker("127.0.0.1", port, tls=False)

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=10)


async def _accepting(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


@pytest.fixture
def accounts(tmp_path: Path) -> str:
    """The configuration line of a password file that knows the controller."""
    file = tmp_path / "passwords"
    maker = shutil.which("mosquitto_passwd")
    if maker is None:
        pytest.skip("mosquitto_passwd is not installed")
    file.touch(mode=0o600)
    subprocess.run([maker, "-b", str(file), "controller", PASSWORD], check=True)
    return f"password_file {file}"


def as_controller(there: Broker) -> Broker:
    return Broker(there.host, there.port, tls=False, user="controller", password=PASSWORD)


def test_the_embedded_broker_passes() -> None:
    checks = self_test(Embedded(0))
    assert list(checks) == ["broker", "retained command", "remote stop"]
    assert all(check.level is Level.OK for check in checks.values())


def test_a_port_in_use_is_a_broker_out_of_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        checks = self_test(Embedded(taken.getsockname()[1]))
    assert checks["broker"].unreachable


def test_a_server_that_is_no_broker_is_out_of_reach() -> None:
    async def of_another_kind() -> list[Check]:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0\r\n")
            writer.close()

        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await broker_checks(Broker("127.0.0.1", port, tls=False), connect_s=0.3)

    (check,) = asyncio.run(of_another_kind())
    assert check.unreachable


def test_a_broker_open_to_anybody_works_and_is_told_to_be_open(mosquitto: StartMosquitto) -> None:
    checks = self_test(mosquitto("allow_anonymous true"))
    assert checks["broker"].level is Level.OK
    assert checks["retained command"].text == "a stop that was left on the broker is ignored"
    assert checks["remote stop"].text == "a live stop is heard"
    assert checks["anonymous"].level is Level.WARN  # on loopback only; elsewhere it is a finding
    assert "infusion/v1/doctor/cmd/estop" in checks["anonymous"].text


def test_nothing_is_left_on_the_broker(mosquitto: StartMosquitto) -> None:
    there = mosquitto("allow_anonymous true")
    self_test(there)
    assert asyncio.run(_retained_at(there)) == []


def test_a_stranger_is_turned_away_by_a_broker_that_knows_its_people(
    mosquitto: StartMosquitto, accounts: str
) -> None:
    checks = self_test(as_controller(mosquitto(accounts, "allow_anonymous false")))
    assert all(check.level is Level.OK for check in checks.values())
    assert "turned away" in checks["anonymous"].text


def test_a_wrong_password_is_a_broker_out_of_reach(
    mosquitto: StartMosquitto, accounts: str
) -> None:
    there = mosquitto(accounts, "allow_anonymous false")
    wrong = Broker(there.host, there.port, tls=False, user="controller", password="guess")
    assert self_test(wrong)["broker"].unreachable


def test_a_controller_that_may_not_press_stop_is_as_it_should_be(
    mosquitto: StartMosquitto, accounts: str, tmp_path: Path
) -> None:
    rules = tmp_path / "acl"
    rules.write_text(
        "user controller\n"
        "topic readwrite infusion/v1/doctor/pump\n"
        "topic readwrite infusion/v1/doctor/availability\n"
        "topic read infusion/v1/doctor/cmd/#\n"
    )
    there = mosquitto(accounts, "allow_anonymous true", f"acl_file {rules}")
    checks = self_test(as_controller(there))
    assert checks["broker"].ok
    assert "may not write" in checks["retained command"].text
    assert checks["remote stop"].level is Level.WARN
    assert "nothing they wrote arrived" in checks["anonymous"].text


async def _retained_at(there: Broker) -> list[str]:
    left: list[str] = []
    async with aiomqtt.Client(there.host, there.port) as client:
        await client.subscribe("#", qos=1)
        await client.publish("end", b"", qos=1)
        async for message in client.messages:  # what is retained comes before what is published
            if str(message.topic) == "end":
                break
            left.append(str(message.topic))
    return left
