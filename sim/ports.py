"""Places where a simulated pump can be plugged in: a pseudo-terminal, a TCP port, a pair in memory.

Answerable for descriptors, links and sockets: opened, written to without ever waiting, closed without a
trace.  Like a serial line without flow control, a port loses whole frames that nobody fetches; it never
stops reading for that, because the next bytes might be a STOP.  Not answerable for what the bytes mean
or when they are due (`sim.serve`).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from firmware_bridge.errors import ConfigurationError, LinkError
from firmware_bridge.transports.base import Transport

Received = Callable[[bytes], None]

READ_BYTES = 65_536
CATCH_UP_READS = 16
BACKLOG_BYTES_MAX = 65_536
"""What may wait for a TCP client that does not read; more is lost, frame by frame.

Nothing waits behind a pseudo-terminal's own buffer: the next host to open it must not find old answers.
"""


class Port(Protocol):
    """Somewhere to be plugged in, again and again, under the same name."""

    @property
    def name(self) -> str:
        """What a host opens: a path, or a URL for pyserial's ``serial_for_url``."""

    def open(self, received: Received) -> None:
        """Be there, and hand what the host sends to ``received``.  Raises `LinkError`."""

    def write(self, frame: bytes) -> None:
        """Send a frame if a host is there to get it; never waits, never raises."""

    def close(self) -> None:
        """Be gone for the host.  Idempotent; `open` brings the port back."""


class Stream:
    """One open descriptor on the loop: reads as data come, writes without waiting."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        fd: int,
        *,
        read: Callable[[int], bytes],
        write: Callable[[bytes], int],
        received: Received,
        ended: Callable[[], None],
        backlog_bytes_max: int,
    ) -> None:
        self._loop = loop
        self._fd = fd
        self._read = read
        self._write = write
        self._received = received
        self._ended = ended
        self._backlog_bytes_max = backlog_bytes_max
        self._backlog = bytearray()
        self._open = True
        self.frames_lost = 0
        loop.add_reader(fd, self._readable)

    def write(self, frame: bytes) -> None:
        """Send now what fits, keep the rest within bounds, lose the frame beyond them."""
        if self._backlog:
            if len(self._backlog) + len(frame) > self._backlog_bytes_max:
                self.frames_lost += 1
            else:
                self._backlog += frame
            return
        try:
            sent = self._write(frame)
        except OSError as error:
            sent = self._untaken(error)
        if sent != len(frame) and self._open:
            self._backlog += frame[sent:]
            self._loop.add_writer(self._fd, self._writable)

    def stop(self) -> None:
        """Watch the descriptor no more; whoever opened it closes it.  Idempotent."""
        if self._open:
            self._open = False
            self._backlog.clear()
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)

    def _send(self, data: bytes) -> int:
        try:
            return self._write(data)
        except OSError as error:
            return self._untaken(error)

    def _untaken(self, error: OSError) -> int:
        """Nothing was taken: not now, or never again."""
        if not isinstance(error, BlockingIOError | InterruptedError):
            self._end()
        return 0

    def _writable(self) -> None:
        sent = self._send(bytes(self._backlog))
        del self._backlog[:sent]
        if not self._backlog and self._open:
            self._loop.remove_writer(self._fd)

    def catch_up(self) -> None:
        """Find out now, within bounds, whether the other side has left behind its last bytes."""
        for _ in range(CATCH_UP_READS):
            if not (self._open and self._readable()):
                return

    def _readable(self) -> bool:
        """Hand on what has arrived; whether there was anything."""
        try:
            data = self._read(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if data:
            self._received(data)
        else:
            self._end()
        return bool(data)

    def _end(self) -> None:
        if self._open:
            self.stop()
            self._ended()


class PtyPort:
    """A pseudo-terminal, raw on both ends, with a symbolic link that stays when the terminal changes.

    The slave is kept open here, because reading the master fails while nobody holds it.  Baud rate,
    parity and stop bits have no effect on a pseudo-terminal.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, link: Path | None = None) -> None:
        self._loop = loop
        self._link = link
        self._slave_name = ""
        self._ends: tuple[int, int] | None = None
        self._stream: Stream | None = None

    @property
    def name(self) -> str:
        """The link if there is one, else the terminal, whose name changes at each `open`."""
        return self._slave_name if self._link is None else str(self._link)

    def open(self, received: Received) -> None:
        """Raises `ConfigurationError` for a link that cannot be made, before anything is opened."""
        import tty  # noqa: PLC0415  # POSIX only; TCP works without it

        if self._link is not None:
            _check_link(self._link)
        master, slave = os.openpty()
        self._ends = (master, slave)
        for end in self._ends:
            tty.setraw(end)
        os.set_blocking(master, False)
        self._slave_name = os.ttyname(slave)
        self._stream = Stream(
            self._loop,
            master,
            read=partial(os.read, master),
            write=partial(os.write, master),
            received=received,
            ended=self.close,
            backlog_bytes_max=0,
        )
        if self._link is not None:
            try:
                _point(self._link, self._slave_name)
            except OSError as error:
                self.close()
                raise ConfigurationError(f"link {self._link}: {error.strerror}") from error

    def write(self, frame: bytes) -> None:
        if self._stream is not None:
            self._stream.write(frame)

    def close(self) -> None:
        """Hang up: whoever has the port open reads end of file or an error; the link is gone."""
        if self._stream is None or self._ends is None:
            return
        self._stream.stop()
        self._stream = None
        # The slave's name may belong to somebody else once it is closed, so the link goes first.
        if self._link is not None:
            _unpoint(self._link, self._slave_name)
        for end in self._ends:
            os.close(end)
        self._ends = None


class TcpPort:
    """A listening TCP port for one host at a time; a second one is turned away."""

    scheme = "socket"

    def __init__(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> None:
        self._loop = loop
        self._host = host
        self._port = port
        self._listener: socket.socket | None = None
        self._client: socket.socket | None = None
        self._stream: Stream | None = None
        self._received: Received = _ignore

    @property
    def name(self) -> str:
        """``socket://host:port``, as pyserial spells it; port 0 becomes a real one at `open`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{self.scheme}://{host}:{self._port}"

    def open(self, received: Received) -> None:
        """Raises `LinkError` when the address cannot be listened on."""
        try:
            family, kind, proto, _, address = socket.getaddrinfo(
                self._host, self._port, type=socket.SOCK_STREAM
            )[0]
            listener = socket.socket(family, kind, proto)
        except OSError as error:
            raise LinkError(self.name, f"cannot listen: {error.strerror}") from error
        try:
            listener.settimeout(0)
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1)
        except OSError as error:
            listener.close()
            raise LinkError(self.name, f"cannot listen: {error.strerror}") from error
        self._port = listener.getsockname()[1]
        self._listener, self._received = listener, received
        self._loop.add_reader(listener.fileno(), self._acceptable)

    def write(self, frame: bytes) -> None:
        if self._stream is not None:
            self._stream.write(frame)

    def close(self) -> None:
        self._hang_up()
        if self._listener is not None:
            self._loop.remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def _acceptable(self) -> None:
        if self._listener is None:
            return
        try:
            client, _ = self._listener.accept()
        except OSError:
            return  # it changed its mind
        if self._stream is not None:
            self._stream.catch_up()
        if self._client is not None:
            client.close()
            return
        client.settimeout(0)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client
        self._stream = Stream(
            self._loop,
            client.fileno(),
            read=client.recv,
            write=client.send,
            received=self._received,
            ended=self._hang_up,
            backlog_bytes_max=BACKLOG_BYTES_MAX,
        )
        self.connected()

    def connected(self) -> None:
        """A host is there.  A raw socket has nothing to tell it."""

    def _hang_up(self) -> None:
        if self._client is not None and self._stream is not None:
            self._stream.stop()
            self._client.close()
            self._client = self._stream = None


class MemoryPort:
    """One end of a pair in memory, as virtual time needs it; another end is needed after a loss."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._open = False

    @property
    def name(self) -> str:
        return self._transport.name

    def open(self, received: Received) -> None:
        self._transport.start(received, self._lost)
        self._open = True

    def write(self, frame: bytes) -> None:
        if self._open:
            try:
                self._transport.write(frame)
            except LinkError:
                return  # nobody fetches the frames, or the cut has not been announced yet

    def close(self) -> None:
        if self._open:
            self._open = False
            self._transport.close()

    def _lost(self, _cause: Exception | None) -> None:
        self._open = False


def _check_link(link: Path) -> None:
    """Raises `ConfigurationError` where the link would stand in the way of something, or hang in air."""
    if link.exists() and not link.is_symlink():
        raise ConfigurationError(f"link {link}: exists and is not a symbolic link")
    if not link.parent.is_dir():
        raise ConfigurationError(f"link {link}: {link.parent} is not a directory")


def _point(link: Path, target: str) -> None:
    """The link leads to ``target``; at no moment is there none, or half of one."""
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def _unpoint(link: Path, target: str) -> None:
    """Remove the link if it is still ours: another simulator may have taken it over."""
    if link.is_symlink() and str(link.readlink()) == target:
        link.unlink(missing_ok=True)


def _ignore(_data: bytes) -> None:
    """What a port does with bytes before it is opened."""
