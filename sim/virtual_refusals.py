"""What can go wrong in virtual time, and the doors to real time that stay shut there.

Not answerable for running anything: `sim.virtual_loop` is the loop that raises these.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

_ASYNCIO = Path(asyncio.__file__).parent
_OURS = {
    Path(__file__),
    Path(__file__).with_name("virtual_loop.py"),
}  # not where anybody's mistake is


class VirtualTimeError(RuntimeError):
    """A run in virtual time that cannot go on, or that must not count as having gone well."""

    def __init__(self, now_s: float, what: str) -> None:
        super().__init__(f"virtual time {now_s:.9g} s: {what}")
        self.now_s = now_s
        self.what = what


class Deadlock(VirtualTimeError):
    """Nothing is ready and no timer is set, so nothing can ever happen again."""


class Livelock(VirtualTimeError):
    """The loop went round and round without time moving."""


class BudgetExceeded(VirtualTimeError):
    """The run wanted more virtual time than it was given: something waits for ever."""


class RealTimeRefused(VirtualTimeError):
    """Something reached for a file descriptor, a thread, a process or a signal."""


class LeftBehind(VirtualTimeError):
    """Tasks were still running when the main coroutine had returned."""


class Unhandled(VirtualTimeError):
    """Exceptions that nobody retrieved; ``causes`` holds them in the order they came up."""

    def __init__(self, now_s: float, what: str, causes: tuple[BaseException, ...]) -> None:
        super().__init__(now_s, what)
        self.causes = causes


def call_site() -> str:
    """``file.py:12 in function`` of the nearest caller outside asyncio and the virtual loop."""
    frame = sys._getframe(1)  # noqa: SLF001 - the inspect module's way costs a file read per frame
    while frame.f_back is not None:
        path = Path(frame.f_code.co_filename)
        if path not in _OURS and path.parent != _ASYNCIO:
            break
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_qualname}"


def waiting_at(task: asyncio.Task[Any]) -> str:
    """The task's name, and the chain of awaits in which it is suspended."""
    places: list[str] = []
    inner: object = task.get_coro()
    while (frame := getattr(inner, "cr_frame", None)) is not None:
        code = frame.f_code
        places.append(f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_name}")
        inner = getattr(inner, "cr_await", None)
    return f"{task.get_name()} [{' > '.join(places) or 'not a coroutine'}]"


REFUSED = (
    "add_reader",
    "add_writer",
    "sock_accept",
    "sock_connect",
    "sock_recv",
    "sock_recv_into",
    "sock_recvfrom",
    "sock_recvfrom_into",
    "sock_sendall",
    "sock_sendfile",
    "sock_sendto",
    "sendfile",
    "start_tls",
    "create_connection",
    "create_server",
    "create_datagram_endpoint",
    "create_unix_connection",
    "create_unix_server",
    "connect_accepted_socket",
    "connect_read_pipe",
    "connect_write_pipe",
    "getaddrinfo",
    "getnameinfo",
    "run_in_executor",
    "set_default_executor",
    "subprocess_exec",
    "subprocess_shell",
    "add_signal_handler",
)
"""Methods of an event loop whose outcome depends on the world outside the process or on a thread."""


def refusal(name: str) -> Callable[..., NoReturn]:
    """A method that raises `RealTimeRefused`, naming itself and its caller."""

    def refuse(loop: asyncio.AbstractEventLoop, *_args: object, **_kwargs: object) -> NoReturn:
        raise RealTimeRefused(loop.time(), f"{name} is refused, called from {call_site()}")

    refuse.__name__ = name
    return refuse
