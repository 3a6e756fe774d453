"""The door to `sim.control`: a UNIX socket of this user's alone, or a loopback port that asks for a token.

A line is a request, a line is its answer.  On a port the first request must be ``auth`` with the token;
anything else ends the connection.  The token comes from a file that only its owner may read, or from the
environment, never from a command line, which every user of the machine could see.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import cast

from firmware_bridge.errors import ConfigurationError, LinkError
from sim.control import REQUEST_BYTES_MAX, Control
from sim.pump_bench import TOKEN_VARIABLE, host_and_port

TOKEN_CHARS_MIN = 16
CLIENTS_MAX = 16
AUTH_S_MAX = 5.0
"""How long a client may take to bring the token [design]: one that cannot must not keep a place."""
PROBE_S = 1.0


class ControlServer:
    """Serves one `Control` until closed."""

    def __init__(
        self, control: Control, server: asyncio.Server, token: str, path: Path | None
    ) -> None:
        self._control = control
        self._server = server
        self._token = token
        self._path = path
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def address(self) -> str:
        """Where it listens: a path, or host:port."""
        if self._path is not None:
            return str(self._path)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def close(self) -> None:
        """Nobody is served any more; the socket's path is gone.  Idempotent."""
        self._server.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        for writer in self._clients.values():
            writer.close()  # its task finds the end of the stream
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until it leaves."""
        if len(self._clients) >= CLIENTS_MAX:
            writer.close()
            return
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._clients[task] = writer
        try:
            with contextlib.suppress(ConnectionError, ValueError, asyncio.LimitOverrunError):
                await self._talk(reader, writer)
        finally:
            del self._clients[task]
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._token and not await self._known(reader, writer):
            return
        while line := await _line(reader):
            answer = self._control.handle(line)
            if answer is not None:
                writer.write(answer)
                await writer.drain()

    async def _known(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the first request brought the token."""
        try:
            async with asyncio.timeout(AUTH_S_MAX):
                request = json.loads(await reader.readline())
            given = request["params"]["token"] if request["method"] == "auth" else ""
            right = hmac.compare_digest(given.encode(), self._token.encode())
        except (TimeoutError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False
        if not right:
            return False
        answer = {"jsonrpc": "2.0", "id": request.get("id"), "result": {}}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
        return True


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line, or nothing at the end; of one that is too long only its beginning."""
    start = b""
    while True:
        try:
            rest = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            rest = error.partial
        except asyncio.LimitOverrunError as error:
            dropped = await reader.readexactly(error.consumed)
            start = start or dropped
            continue
        return start or rest


async def open_control(
    where: str, control: Control, *, token_file: Path | None = None
) -> ControlServer:
    """Listen at a path, or at ``HOST:PORT`` with a token.

    Raises `ConfigurationError` for a place or token that will not do, `LinkError` for one that cannot be
    had.
    """
    served: list[ControlServer] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await served[0].serve(reader, writer)

    _, _, port = where.rpartition(":")
    is_path = "/" in where or not port.isdigit()
    try:
        if is_path:
            path = Path(where)
            server, token = await _unix(path, connected), ""
        else:
            path = None
            server, token = await _tcp(where, connected, token_file), _token(token_file)
    except OSError as error:
        raise LinkError(where, f"cannot listen: {error.strerror or error}") from error
    served.append(ControlServer(control, server, token, path))
    return served[0]


Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _unix(path: Path, connected: Connected) -> asyncio.Server:
    return await asyncio.start_unix_server(connected, sock=_bound(path), limit=REQUEST_BYTES_MAX)


def _bound(path: Path) -> socket.socket:
    """A socket at the path that nobody but this user can reach.  What is in the way is not removed."""
    if not path.parent.is_dir():
        raise ConfigurationError(f"--control {path}: {path.parent} is not a directory")
    if path.exists():
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise ConfigurationError(f"--control {path}: exists and is not a socket")
        if _answers(path):
            raise LinkError(str(path), "somebody else listens there")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


async def _tcp(where: str, connected: Connected, token_file: Path | None) -> asyncio.Server:
    host, port = host_and_port("--control", where)
    if not _is_loopback(host):
        raise ConfigurationError(f"--control {where}: only addresses of this machine's loopback")
    _token(token_file)
    return await asyncio.start_server(connected, host, port, limit=REQUEST_BYTES_MAX)


def _answers(path: Path) -> bool:
    """Whether a socket that is in the way is in use."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(file: Path | None) -> str:
    """Raises `ConfigurationError` where there is none, or one that others may read or guess."""
    if file is None:
        token = os.environ.get(TOKEN_VARIABLE, "")
        source = TOKEN_VARIABLE
    else:
        try:
            if file.stat().st_mode & 0o077:
                raise ConfigurationError(f"--control-token-file {file}: mode must be 0600")
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"--control-token-file {file}: {error}") from error
        source = str(file)
    if len(token) < TOKEN_CHARS_MIN:
        raise ConfigurationError(
            f"a control port needs a token of at least {TOKEN_CHARS_MIN} characters, in "
            f"--control-token-file or {TOKEN_VARIABLE}; {source} has {len(token)}"
        )
    return token
