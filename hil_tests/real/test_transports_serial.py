"""Serial ports, as pseudo-terminals: opening, losing, closing.

Real descriptors on the real clock: nothing here asserts less than 50 ms over a PTY.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import serial

from firmware_bridge.errors import ConfigurationError, Disconnected, LinkError
from firmware_bridge.transports.fd import FdTransport
from firmware_bridge.transports.opening import is_hardware, open_transport
from firmware_bridge.transports.serial_port import explained
from hil_tests.real.transport_ends import Ear, Pump, opened

pytestmark = pytest.mark.real


@pytest.fixture
def pump() -> Iterator[Pump]:
    held = Pump()
    yield held
    held.unplug()


@pytest.fixture
async def host(pump: Pump) -> AsyncIterator[FdTransport]:
    transport = await opened(pump.port)
    assert isinstance(transport, FdTransport)
    yield transport
    transport.close()


async def test_bytes_go_both_ways_unchanged_whatever_they_are(
    pump: Pump, host: FdTransport
) -> None:
    ear = Ear(host)
    everything = bytes(range(256))
    host.write(everything)
    assert await asyncio.to_thread(pump.read) == everything
    os.write(pump.master, everything)
    await ear.hears(everything)
    assert host.name == pump.port
    assert host.fileno() > 0


async def test_an_idle_port_is_not_a_lost_one(pump: Pump, host: FdTransport) -> None:
    ear = Ear(host)
    await asyncio.sleep(0.1)
    host._on_readable()  # as after a readiness that was not
    await asyncio.sleep(0.05)
    assert ear.losses == []
    host.write(b"still here\r")
    assert await asyncio.to_thread(pump.read) == b"still here\r"


async def test_unplugging_is_told_once_and_every_write_after_it_raises(
    pump: Pump, host: FdTransport
) -> None:
    ear = Ear(host)
    pump.unplug()
    await ear.is_told_of_the_loss()
    for write in (host.write, host.write_now):
        with pytest.raises(Disconnected, match=pump.port):
            write(b"x")
    await asyncio.sleep(0.05)
    assert len(ear.losses) == 1


async def test_a_write_into_an_unplugged_port_raises_although_nobody_noticed_before(
    pump: Pump, host: FdTransport
) -> None:
    pump.unplug()
    with pytest.raises(Disconnected, match=pump.port):
        host.write(b"x")
    ear = Ear(host)
    await ear.is_told_of_the_loss()


async def test_a_port_that_is_open_elsewhere_is_busy(pump: Pump, host: FdTransport) -> None:
    with pytest.raises(LinkError, match=f"{pump.port}: busy"):
        await opened(pump.port)
    host.close()
    again = await opened(pump.port)
    again.close()


async def test_a_replugged_port_opens_under_the_same_link(tmp_path: Path) -> None:
    link = tmp_path / "pump"
    for _ in range(2):
        pump = Pump()
        link.unlink(missing_ok=True)
        link.symlink_to(pump.port)
        transport = await opened(str(link))
        ear = Ear(transport)
        transport.write(b"hello\r")
        assert await asyncio.to_thread(pump.read) == b"hello\r"
        pump.unplug()
        await ear.is_told_of_the_loss()
        transport.close()


async def test_closing_is_final_quiet_and_repeatable(pump: Pump, host: FdTransport) -> None:
    ear = Ear(host)
    host.close()
    host.close()
    os.write(pump.master, b"late")
    await asyncio.sleep(0.05)
    assert (ear.heard, ear.losses, host.fileno()) == (b"", [], -1)
    with pytest.raises(Disconnected, match="closed"):
        host.write(b"x")


@pytest.mark.parametrize(
    ("port", "kind", "said"),
    [
        ("/dev/does-not-exist", LinkError, "absent"),
        ("/dev/null", LinkError, "cannot be opened"),
        ("socket://127.0.0.1", ConfigurationError, "expected socket://HOST:PORT"),
        ("socket://:4001", ConfigurationError, "expected socket://HOST:PORT"),
        ("socket://127.0.0.1:99999", ConfigurationError, "out of range"),
        ("rfc2217://127.0.0.1", ConfigurationError, "expected rfc2217://HOST:PORT"),
        ("nonsense://x", ConfigurationError, "not known"),
        ("socket://127.0.0.1:1", LinkError, "refused"),
        ("rfc2217://127.0.0.1:1", LinkError, "refused"),
        ("socket://no-such-host.invalid:4001", LinkError, "unknown host"),
    ],
)
async def test_a_port_that_cannot_be_opened_is_named_with_the_reason(
    port: str, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        await opened(port)
    assert port in str(caught.value)


@pytest.mark.parametrize(
    "settings", [{"baud": -1}, {"bytesize": 9}, {"parity": "X"}, {"stopbits": 3}]
)
async def test_impossible_line_settings_are_refused(pump: Pump, settings: dict[str, int]) -> None:
    options = {"baud": 9600} | settings
    with pytest.raises(ConfigurationError, match=pump.port):
        await open_transport(pump.port, loop=asyncio.get_running_loop(), **options)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (serial.SerialException(13, "could not open port"), "permission denied"),
        (serial.SerialException(11, "Could not exclusively lock port"), "busy"),
        (serial.SerialException(16, "could not open port"), "busy"),
        (serial.SerialException(6, "could not open port"), "absent"),
        (serial.SerialException("what is this"), "cannot be opened: what is this"),
    ],
)
def test_what_pyserial_says_is_told_in_the_users_words(error: Exception, said: str) -> None:
    assert f"/dev/ttyUSB0: {said}" in str(explained("/dev/ttyUSB0", error))


# What counts as hardware


def test_pseudo_terminals_and_loopback_are_not_hardware(pump: Pump, tmp_path: Path) -> None:
    link = tmp_path / "pump"
    link.symlink_to(pump.port)
    for port in (
        pump.port,
        str(link),
        "socket://127.0.0.1:4001",
        "socket://[::1]:4001",
        "SOCKET://localhost:4001",
        "rfc2217://127.1.2.3:2217",
    ):
        assert not is_hardware(port), port


def test_everything_else_is_hardware() -> None:
    for port in (
        "/dev/ttyUSB0",
        "/dev/ttyS0",
        "COM3",
        "socket://192.168.1.7:4001",
        "socket://pump.ward:4001",
        "rfc2217://10.0.0.1:2217",
        "/dev/does-not-exist",
        "",
    ):
        assert is_hardware(port), port
