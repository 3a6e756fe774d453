"""The stop-only socket and its client, on real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware_bridge.errors import ConfigurationError
from firmware_bridge.estop import StopOutcome, bridge_runs, running, stop_all
from firmware_bridge.locks import FileLock, is_held
from firmware_bridge.stop_socket import StopSocket

pytestmark = pytest.mark.real


class Stoppable:
    """What a bridge is to its stop socket."""

    def __init__(self) -> None:
        self.stops: list[str] = []
        self.confirms = True

    def stop_now(self, why: str) -> None:
        self.stops.append(why)

    async def at_rest(self, within_s: float) -> bool:
        assert within_s > 0
        return self.confirms


@pytest.fixture
def bridge() -> Stoppable:
    return Stoppable()


@pytest.fixture
async def stop_socket(tmp_path: Path, bridge: Stoppable) -> AsyncIterator[Path]:
    path = tmp_path / "bench-1.stop"
    listening = StopSocket(
        path,
        loop=asyncio.get_running_loop(),
        stop_now=bridge.stop_now,
        at_rest=bridge.at_rest,
    )
    await listening.open()
    yield path
    listening.close()
    assert not path.exists()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def say(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    if data:
        answer = await reader.read()
    else:
        writer.write_eof()
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_only_this_user_can_open_it(stop_socket: Path) -> None:
    assert mode_of(stop_socket) == 0o600


@pytest.mark.parametrize("data", [b"stop\n", b"\0", b"go on please", b"\xff" * 100_000])
async def test_any_byte_stops_and_is_answered(
    stop_socket: Path, bridge: Stoppable, data: bytes
) -> None:
    answer = json.loads(await say(stop_socket, data))
    assert bridge.stops == ["by the stop socket"]
    assert answer["confirmed"] is True
    assert 0 <= answer["latency_ms"] < 1000


async def test_a_connection_that_says_nothing_stops_nothing(
    stop_socket: Path, bridge: Stoppable
) -> None:
    assert await say(stop_socket, b"") == b""
    assert bridge.stops == []


async def test_a_caller_who_leaves_at_once_has_stopped_all_the_same(
    stop_socket: Path, bridge: Stoppable
) -> None:
    caller = socket.socket(socket.AF_UNIX)
    caller.connect(str(stop_socket))
    caller.send(b"x")
    caller.close()
    await asyncio.sleep(0.1)
    assert bridge.stops == ["by the stop socket"]


async def test_an_unconfirmed_stop_is_called_that(stop_socket: Path, bridge: Stoppable) -> None:
    bridge.confirms = False
    assert json.loads(await say(stop_socket, b"x"))["confirmed"] is False


async def test_every_caller_is_heard(stop_socket: Path, bridge: Stoppable) -> None:
    answers = await asyncio.gather(*[say(stop_socket, b"x") for _ in range(10)])
    assert len(bridge.stops) == 10
    assert all(json.loads(answer)["confirmed"] for answer in answers)


async def test_what_a_dead_bridge_left_is_replaced(tmp_path: Path, bridge: Stoppable) -> None:
    path = tmp_path / "bench-1.stop"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    loop = asyncio.get_running_loop()
    listening = StopSocket(path, loop=loop, stop_now=bridge.stop_now, at_rest=bridge.at_rest)
    await listening.open()
    await say(path, b"x")
    listening.close()
    listening.close()
    assert bridge.stops


async def test_a_place_where_no_socket_can_be_is_a_clear_error(
    tmp_path: Path, bridge: Stoppable
) -> None:
    loop = asyncio.get_running_loop()
    path = tmp_path / "nowhere" / "bench-1.stop"
    listening = StopSocket(path, loop=loop, stop_now=bridge.stop_now, at_rest=bridge.at_rest)
    with pytest.raises(ConfigurationError, match="stop socket"):
        await listening.open()


async def test_the_client_stops_a_named_bridge_and_says_what_the_pump_confirmed(
    stop_socket: Path, bridge: Stoppable
) -> None:
    outcomes = await asyncio.to_thread(stop_all, "bench-1", folder=stop_socket.parent)
    assert [(o.device, o.confirmed, o.error) for o in outcomes] == [("bench-1", True, "")]
    assert bridge.stops


async def test_the_client_stops_every_bridge_and_passes_over_dead_ones(
    stop_socket: Path, bridge: Stoppable
) -> None:
    (stop_socket.parent / "bench-0.stop").touch()
    outcomes = await asyncio.to_thread(stop_all, folder=stop_socket.parent)
    assert [outcome.device for outcome in outcomes] == ["bench-1"]
    assert bridge.stops


def test_without_a_bridge_there_is_no_outcome(tmp_path: Path) -> None:
    assert stop_all(folder=tmp_path) == []
    assert stop_all("bench-1", folder=tmp_path) == []


def test_a_device_id_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="device"):
        stop_all("../bench", folder=tmp_path)


@pytest.mark.parametrize("answer", [b"", b"nonsense\n", b"[]\n", b"{}\n", b"x" * 10_000])
def test_a_bridge_that_answers_nonsense_has_not_confirmed(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "bench-1.stop"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(5)

        async def both() -> list[StopOutcome]:
            asked = asyncio.create_task(asyncio.to_thread(stop_all, folder=tmp_path))
            connection, _ = await asyncio.to_thread(listener.accept)
            with connection:
                connection.recv(100)
                connection.sendall(answer)
            return await asked

        (outcome,) = asyncio.run(both())
    assert not outcome.confirmed
    assert outcome.error


def test_a_lock_tells_whether_its_holder_lives(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "bench-1.lock")
    assert lock.try_hold()
    assert lock.try_hold()
    assert running(folder=tmp_path) == {"bench-1"}
    assert bridge_runs("bench-1", folder=tmp_path)
    assert not bridge_runs("bench-2", folder=tmp_path)
    assert not FileLock(tmp_path / "bench-1.lock").try_hold()
    lock.release()
    lock.release()
    assert not is_held(tmp_path / "bench-1.lock")
    assert running(folder=tmp_path) == set()
