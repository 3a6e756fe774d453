"""Socket pairs, TCP, and RFC 2217 in threads.

Real descriptors on the real clock: nothing here asserts less than 50 ms over a PTY.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import pytest
import serial
from serial.rfc2217 import PortManager

from firmware_bridge.errors import Disconnected, LinkError
from firmware_bridge.transports import fd as fd_module
from firmware_bridge.transports.fd import WAITING_FRAMES_MAX, FdTransport
from firmware_bridge.transports.stream import host_and_port
from firmware_bridge.transports.threaded import ThreadedTransport
from hil_tests.real.transport_ends import STOP, Ear, fill, opened

pytestmark = pytest.mark.real


# Sockets


async def test_a_socket_pair_carries_frames_until_one_side_closes() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    a = FdTransport(ours.fileno(), "controller", loop, release=ours.close)
    b = FdTransport(theirs.detach(), "bridge", loop)
    at_a, at_b = Ear(a), Ear(b)
    a.write(b"lease")
    await at_b.hears(b"lease")
    b.write(b"last words")
    b.close()
    await at_a.is_told_of_the_loss()
    assert (at_a.heard, at_a.losses) == (b"last words", [None])
    with pytest.raises(Disconnected, match="controller: closed by the other end"):
        a.write(b"x")
    a.close()


async def test_last_words_are_heard_although_a_write_noticed_the_loss_first() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    a = FdTransport(ours.fileno(), "controller", loop, release=ours.close)
    ear = Ear(a)
    theirs.sendall(b"stopped")
    theirs.close()
    with pytest.raises(Disconnected):
        a.write(b"lease")
    await ear.is_told_of_the_loss()
    assert ear.heard == b"stopped"
    a.close()


async def test_a_full_socket_drains_in_order_and_is_never_flushed() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    a = FdTransport(ours.fileno(), "controller", loop, release=ours.close)
    Ear(a)
    frame = b"x" * 9999 + b"\r"
    for _ in range(500):
        a.write(frame)
        if a._frames:
            break
    a.write_now(STOP)
    await asyncio.sleep(fd_module.DRAIN_PATIENCE_S + 0.1)
    b = FdTransport(theirs.detach(), "bridge", loop)
    ear = Ear(b)
    await ear.until(lambda: ear.heard.endswith(STOP))
    assert set(ear.heard.split(b"\r")[:-2]) == {frame[:-1]}
    a.close()
    b.close()


async def test_a_connection_that_is_reset_is_lost_with_its_cause() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        transport = await opened(f"socket://127.0.0.1:{listening.getsockname()[1]}")
        ear = Ear(transport)
        peer, _ = listening.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        await ear.is_told_of_the_loss()
        assert isinstance(ear.losses[0], ConnectionResetError)
        with pytest.raises(Disconnected, match="lost: Connection reset by peer"):
            transport.write(b"x")
        transport.close()


async def test_a_port_that_cannot_even_be_flushed_is_lost() -> None:
    def broken() -> None:
        raise OSError(5, "Input/output error")

    ours, theirs = socket.socketpair()
    a = FdTransport(
        ours.fileno(), "pump", asyncio.get_running_loop(), release=ours.close, flush=broken
    )
    ear = Ear(a)
    await fill(a)
    a.write_now(STOP)
    await ear.is_told_of_the_loss()
    with pytest.raises(Disconnected, match="pump: lost: Input/output error"):
        a.write_now(STOP)
    a.close()
    theirs.close()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def serving(handle: Serve) -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def test_a_tcp_port_echoes_and_its_end_is_noticed() -> None:
    async def echo_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        await writer.drain()
        writer.close()

    server, port = await serving(echo_once)
    async with server:
        transport = await opened(f"socket://127.0.0.1:{port}")
        ear = Ear(transport)
        transport.write(b"hello")
        await ear.hears(b"hello")
        await ear.is_told_of_the_loss()
        with pytest.raises(Disconnected):
            transport.write(b"x")
        transport.close()


async def test_a_host_that_never_answers_runs_into_the_time_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    with pytest.raises(LinkError, match=r"no answer within 0.1 s"):
        await opened("socket://127.0.0.1:4001", timeout_s=0.1)


async def test_opening_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    opening = asyncio.ensure_future(opened("socket://127.0.0.1:4001"))
    await asyncio.sleep(0.01)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening


def test_addresses_are_read_from_urls() -> None:
    assert host_and_port("socket://localhost:4001") == ("localhost", 4001)
    assert host_and_port("rfc2217://[::1]:4001?logging=debug") == ("::1", 4001)


# RFC 2217, in threads

pyserial_is_old = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")


class TerminalServer:
    """pyserial's own server part in front of ``loop://``, which sends everything back."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._listening.getsockname()[1]}"
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        device = serial.serial_for_url("loop://", timeout=0)
        with suppress(OSError):
            self._connection, _ = self._listening.accept()
            self._connection.settimeout(0.01)
            manager = PortManager(device, self)  # type: ignore[arg-type]  # any port, any writer will do
            while True:
                try:
                    data = self._connection.recv(1024)
                except TimeoutError:
                    data = b""
                else:
                    if not data:
                        return
                device.write(b"".join(manager.filter(data)))
                if back := device.read(1024):
                    self.write(b"".join(manager.escape(back)))

    def write(self, data: bytes) -> None:
        if self._connection is not None:
            self._connection.sendall(data)

    def hang_up(self) -> None:
        self._listening.close()
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            self._connection.close()
        self._thread.join()


@pytest.fixture
def terminal_server() -> Iterator[TerminalServer]:
    server = TerminalServer()
    yield server
    server.hang_up()


@pyserial_is_old
async def test_a_terminal_server_carries_every_byte(terminal_server: TerminalServer) -> None:
    transport = await opened(terminal_server.url)
    assert isinstance(transport, ThreadedTransport)
    ear = Ear(transport)
    transport.write(bytes(range(256)))
    await ear.hears(bytes(range(256)))
    transport.write_now(STOP)
    await ear.hears(bytes(range(256)) + STOP)
    transport.close()
    transport.close()
    with pytest.raises(Disconnected, match="closed"):
        transport.write(b"x")


@pyserial_is_old
async def test_a_terminal_server_that_hangs_up_is_a_loss(terminal_server: TerminalServer) -> None:
    transport = await opened(terminal_server.url)
    ear = Ear(transport)
    transport.write(b"x")
    await ear.hears(b"x")
    terminal_server.hang_up()
    await ear.is_told_of_the_loss()
    assert isinstance(ear.losses[0], Exception)
    with pytest.raises(Disconnected, match=terminal_server.url):
        transport.write(b"x")


@pyserial_is_old
async def test_a_terminal_server_that_does_not_negotiate_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"rfc2217://127.0.0.1:{listening.getsockname()[1]}?timeout=1"
        with pytest.raises(LinkError, match=r"no answer within 0.2 s"):
            await opened(url, timeout_s=0.2)
        await asyncio.sleep(
            1.2
        )  # pyserial gives up in its own time; the executor must be free again


class SlowPort:
    """A port without a descriptor whose writes take until they are let through."""

    def __init__(self) -> None:
        self.timeout: float | None = None
        self.let_through = threading.Semaphore(0)
        self.written: list[bytes] = []
        self.third_is_written = threading.Event()
        self.closed = threading.Event()

    in_waiting = 0

    def open(self) -> None:
        pass

    def read(self, _size: int, /) -> bytes:
        self.closed.wait(self.timeout)
        return b""

    def write(self, data: bytes, /) -> int:
        self.let_through.acquire()
        self.written.append(data)
        if len(self.written) == 3:
            self.third_is_written.set()
        return len(data)

    def close(self) -> None:
        self.closed.set()


async def test_stop_overtakes_what_waits_for_the_writing_thread() -> None:
    port = SlowPort()
    transport = ThreadedTransport(port, "COM3", asyncio.get_running_loop())
    Ear(transport)
    transport.write(b"1")
    await asyncio.sleep(0.05)  # the writer has it
    for n in range(WAITING_FRAMES_MAX):
        transport.write(b"%d" % n)
    with pytest.raises(LinkError, match="COM3: not sent"):
        transport.write(b"one more")
    transport.write_now(STOP)
    transport.write(b"query")
    port.let_through.release(3)
    await asyncio.to_thread(port.third_is_written.wait, 5)
    assert port.written == [b"1", STOP, b"query"]
    assert transport.overtaken == WAITING_FRAMES_MAX
    transport.close()
    port.let_through.release(9)
    assert await asyncio.to_thread(port.closed.wait, 5)


async def test_a_threaded_port_that_was_never_started_is_released_all_the_same() -> None:
    port = SlowPort()
    ThreadedTransport(port, "COM3", asyncio.get_running_loop()).close()
    assert await asyncio.to_thread(port.closed.wait, 5)
