"""Real descriptors on the real clock.  Nothing here asserts less than 50 ms over a PTY."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import socket
import threading
import tty
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import perf_counter, sleep

import pytest
import serial
from serial.rfc2217 import PortManager

from firmware_bridge.clock import ScaledLoop, speed_of
from firmware_bridge.errors import ConfigurationError, Disconnected, LinkError
from firmware_bridge.transports import fd as fd_module
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.fd import WAITING_FRAMES_MAX, FdTransport
from firmware_bridge.transports.opening import is_hardware, open_transport
from firmware_bridge.transports.serial_port import explained
from firmware_bridge.transports.stream import host_and_port
from firmware_bridge.transports.threaded import ThreadedTransport

pytestmark = pytest.mark.real

STOP = b"STP\r"


class Ear:
    """Who listens at a transport."""

    def __init__(self, transport: Transport) -> None:
        self.heard = b""
        self.losses: list[Exception | None] = []
        self._news = asyncio.Event()
        transport.start(self._received, self._lost)

    def _received(self, data: bytes) -> None:
        self.heard += data
        self._news.set()

    def _lost(self, cause: Exception | None) -> None:
        self.losses.append(cause)
        self._news.set()

    async def until(self, so: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not so():
                self._news.clear()
                await self._news.wait()

    async def hears(self, data: bytes) -> None:
        await self.until(lambda: len(self.heard) >= len(data))
        assert self.heard == data

    async def is_told_of_the_loss(self) -> None:
        await self.until(lambda: bool(self.losses))
        assert len(self.losses) == 1


class Pump:
    """The far end of a PTY, held by the test."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.master)
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.port = os.ttyname(self.slave)

    def read(self) -> bytes:
        """All that has arrived, once nothing more does for 50 ms."""
        heard, quiet_since = b"", perf_counter()
        while perf_counter() - quiet_since < 0.05:
            try:
                heard += os.read(self.master, 65_536)
                quiet_since = perf_counter()
            except BlockingIOError:
                sleep(0.005)
        return heard

    def unplug(self) -> None:
        for name in ("master", "slave"):
            number: int = getattr(self, name)
            setattr(self, name, -1)
            if number >= 0:
                os.close(number)


@pytest.fixture
def pump() -> Iterator[Pump]:
    held = Pump()
    yield held
    held.unplug()


async def opened(port: str, **options: float) -> Transport:
    return await open_transport(
        port, baud=19_200, loop=asyncio.get_running_loop(), timeout_s=options.get("timeout_s", 5)
    )


@pytest.fixture
async def host(pump: Pump) -> AsyncIterator[FdTransport]:
    transport = await opened(pump.port)
    assert isinstance(transport, FdTransport)
    yield transport
    transport.close()


async def fill(transport: FdTransport) -> None:
    """Write frames until the port has taken nothing for 50 ms and some are waiting here."""
    for _ in range(100):
        while len(transport._frames) < 3:
            transport.write(b"x" * 99 + b"\r")
        before = transport._sent_bytes
        await asyncio.sleep(0.05 * speed_of(asyncio.get_running_loop()))
        transport._push()
        if transport._sent_bytes == before:
            return
    pytest.fail("the port took everything")


# Serial ports, as pseudo-terminals


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


# STOP and the full buffer


async def test_stop_overtakes_what_waits_and_never_cuts_the_frame_in_transmission(
    pump: Pump, host: FdTransport
) -> None:
    Ear(host)
    await fill(host)
    waiting = len(host._frames)
    host.write_now(STOP)
    host.write(b"query\r")
    heard = b""
    async with asyncio.timeout(5):
        while not heard.endswith(b"query\r"):
            heard += await asyncio.to_thread(pump.read)
    frames = heard.split(b"\r")[:-1]
    assert frames[-2:] == [b"STP", b"query"]
    assert {len(frame) for frame in frames[:-2]} == {99}
    assert host.overtaken == waiting


async def test_a_stop_that_does_not_drain_is_flushed_and_sent_after_a_silence(
    pump: Pump, host: FdTransport
) -> None:
    Ear(host)
    await fill(host)
    began = perf_counter()
    host.write_now(STOP)
    host.write_now(STOP)
    await asyncio.sleep(fd_module.DRAIN_PATIENCE_S + fd_module.SILENCE_S / 2)
    assert STOP not in await asyncio.to_thread(pump.read)  # it was flushed, and is being silent
    async with asyncio.timeout(5):
        heard = b""
        while not heard:
            heard = await asyncio.to_thread(pump.read)
    assert heard == STOP + STOP
    assert perf_counter() - began > fd_module.DRAIN_PATIENCE_S + fd_module.SILENCE_S


async def test_a_buffer_that_drains_in_time_is_not_flushed(pump: Pump, host: FdTransport) -> None:
    Ear(host)
    await fill(host)
    host.write_now(STOP)
    heard = await asyncio.to_thread(pump.read)
    await asyncio.sleep(fd_module.DRAIN_PATIENCE_S + 0.1)
    heard += await asyncio.to_thread(pump.read)
    assert heard.endswith(b"\r" + STOP)
    assert {len(frame) for frame in heard.split(b"\r")[:-2]} == {99}


async def test_unplugging_while_a_stop_waits_is_a_loss_like_any_other(
    pump: Pump, host: FdTransport
) -> None:
    ear = Ear(host)
    await fill(host)
    host.write_now(STOP)
    pump.unplug()
    await ear.is_told_of_the_loss()
    await asyncio.sleep(fd_module.DRAIN_PATIENCE_S + 0.1)
    assert len(ear.losses) == 1


async def test_too_many_waiting_frames_are_refused_but_stops_are_not(
    pump: Pump, host: FdTransport
) -> None:
    await fill(host)
    while len(host._frames) < WAITING_FRAMES_MAX:
        host.write(b"x\r")
    with pytest.raises(LinkError, match="not sent: 1000 frames wait"):
        host.write(b"x\r")
    for _ in range(100):
        host.write_now(STOP)
    assert len(host._stops) <= fd_module.WAITING_STOPS_MAX
    assert pump.port == host.name


async def test_stop_leaves_from_another_thread_while_the_loop_is_blocked(
    pump: Pump, host: FdTransport
) -> None:
    Ear(host)
    stopper = threading.Thread(target=host.write_now, args=(STOP,))
    stopper.start()
    stopper.join()
    assert pump.read() == STOP  # and the loop has not run in between


async def test_stop_leaves_from_a_signal_handler_that_interrupts_a_blocked_loop(
    pump: Pump, host: FdTransport
) -> None:
    Ear(host)
    before = signal.signal(signal.SIGALRM, lambda *_: host.write_now(STOP))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        until = perf_counter() + 0.1
        while perf_counter() < until:
            pass
        assert pump.read() == STOP
    finally:
        signal.signal(signal.SIGALRM, before)


async def test_stop_from_inside_a_write_goes_next(
    pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler that runs while the pen is held: what it adds is seen on the second look."""
    transport = await opened(pump.port)
    real_write = os.write

    def interrupted(fd: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", real_write)
        transport.write_now(STOP)
        return real_write(fd, data)

    monkeypatch.setattr(os, "write", interrupted)
    transport.write(b"RUN\r")
    assert await asyncio.to_thread(pump.read) == b"RUN\r" + STOP
    transport.close()


async def test_a_frame_refused_by_a_full_port_stays_behind_a_stop_that_came_in_between(
    pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = await opened(pump.port)
    assert isinstance(transport, FdTransport)
    real_write = os.write

    def full(_fd: int, _data: bytes) -> int:
        monkeypatch.setattr(os, "write", real_write)
        transport.write_now(STOP)
        raise BlockingIOError

    monkeypatch.setattr(os, "write", full)
    transport.write(b"RUN\r")
    assert await asyncio.to_thread(pump.read) == STOP
    assert transport.overtaken == 1
    transport.close()


async def test_stops_hammered_from_threads_never_cut_a_frame(pump: Pump, host: FdTransport) -> None:
    Ear(host)
    heard: list[bytes] = []
    done = threading.Event()

    def drain() -> None:
        while not done.is_set():
            heard.append(pump.read())

    def hammer() -> None:
        for _ in range(200):
            host.write_now(STOP)

    threads = [threading.Thread(target=drain), *(threading.Thread(target=hammer) for _ in range(3))]
    for thread in threads:
        thread.start()
    for n in range(400):
        with suppress(LinkError):
            host.write(b"frame %04d\r" % n)
        await asyncio.sleep(0)
    await asyncio.sleep(0.2)
    done.set()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    frames = b"".join(heard).split(b"\r")
    assert frames.pop() == b""
    assert {frame.split(b" ")[0] for frame in frames} <= {b"STP", b"frame"}
    numbers = [int(frame.split(b" ")[1]) for frame in frames if frame != b"STP"]
    assert numbers == sorted(numbers)
    assert STOP[:-1] in frames


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


# Scaled time


def test_the_silence_after_a_flush_lasts_at_least_a_quarter_second_in_scaled_time(
    pump: Pump,
) -> None:
    async def main() -> float:
        transport = await opened(pump.port)
        assert isinstance(transport, FdTransport)
        Ear(transport)
        await fill(transport)
        began = perf_counter()
        transport.write_now(STOP)
        for _ in range(500):  # of 10 ms on the wall
            await asyncio.sleep(1)
            if not transport._stops:
                break
        took = perf_counter() - began
        assert pump.read().endswith(STOP)
        transport.close()
        return took

    with asyncio.Runner(loop_factory=lambda: ScaledLoop(100)) as runner:
        assert runner.run(main()) >= 0.5
