"""MQTT on a thread and a loop of its own, in real time.

Of its own, because the controller's loop may run scaled or be blocked, and neither may break the
keep-alive nor stop a remote stop from being heard.  The hand-over holds the latest sample of each
topic, the last value of each retained state (two where the last one takes it away), a few answers, and a wake-up flag: nothing that grows.
Events are read from the session log, so the log is the queue.

Asks for MQTT 5 and is content with 3.1.1, on which everything that has a meaning works.  Not
answerable for payloads (`telemetry`) nor for what a stop does (``on_estop``).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from controller import cursor_file
from controller.broker import HOST, EmbeddedBroker
from controller.mqtt_client import (
    ANSWER_S,
    Connection,
    ConnectionLost,
    Inbound,
    ReplyTo,
    Version,
    all_but_bad_descriptor,
    connect,
)
from controller.mqtt_url import Broker, Embedded
from controller.publisher import (
    BATCH,
    BrokerUnreachable,
    EventCursor,
    EventSource,
    OnOdd,
    OnStop,
    obey,
)
from controller.telemetry import Message, Telemetry, read_estop

T = TypeVar("T")

SPACING_S = 0.05
"""Wall seconds between two rounds of sending: in scaled time the latest of many samples is enough."""

BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Wall seconds before each further attempt to connect; the last one for all that follow."""

LEAVE_S = 3.0
"""Wall seconds for the last messages when closing."""

TRY_S = 2.0
"""Wall seconds for a greeting in MQTT 5 before 3.1.1 is tried: some brokers just fall silent at it."""

CURSOR_S = 1.0
ANSWERS_MAX = 64


class MqttPublisher:
    """A `publisher.Publisher` to one broker.

    ``on_estop`` and ``on_odd`` are called on this publisher's thread, so they must be thread-safe;
    ``on_estop`` must stop the pump before anything else and must not wait for the controller's loop.
    With ``cursor_path`` events go on where an earlier process stopped.
    """

    def __init__(
        self,
        address: Broker | Embedded,
        telemetry: Telemetry,
        *,
        on_estop: OnStop,
        on_odd: OnOdd,
        cursor_path: Path | None = None,
    ) -> None:
        self._address = address
        self._telemetry = telemetry
        self._on_estop = on_estop
        self._on_odd = on_odd
        self._cursor_path = cursor_path
        self._lock = threading.Lock()  # held for a few instructions, never over anything that waits
        self._states: dict[str, Message] = {}
        self._unsent: dict[str, list[Message]] = {}
        self._samples: dict[str, Message] = {}
        self._answers: deque[Message] = deque(maxlen=ANSWERS_MAX)
        self._replies: dict[str, ReplyTo] = {}
        self._cursor: EventCursor | None = None
        self._noted = -1
        self._noted_at = 0.0
        self._nudged = False
        self._stopping = threading.Event()
        self._greeted = False
        self._versions = deque((Version.V5, Version.V311))
        if isinstance(address, Embedded):
            self._versions.popleft()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._first: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread: threading.Thread | None = None
        self.connected = False
        self.dropped = 0
        self.url = str(address)

    # --- the controller's side ---

    def follow(self, source: EventSource) -> None:
        seq = -1 if self._cursor_path is None else cursor_file.load(self._cursor_path, source)
        self._cursor = EventCursor(source, self._telemetry, seq)
        self._noted = seq

    async def start(self, timeout_s: float) -> None:
        name = f"mqtt {self._telemetry.device}"
        self._thread = threading.Thread(target=self._run, args=(timeout_s,), name=name, daemon=True)
        self._thread.start()
        await asyncio.wrap_future(self._first)

    def publish(self, message: Message) -> None:
        with self._lock:
            if message.retain:
                self._keep(message)
            elif message.qos:
                self._answers.append(message)
            else:
                self.dropped += message.topic in self._samples
                self._samples[message.topic] = message
        self._nudge()

    def _keep(self, message: Message) -> None:
        """The latest state of a topic; one that takes it away does not hide what was never sent."""
        waiting = self._unsent.get(message.topic, [])
        shown = waiting[:1] if waiting and waiting[0].payload and not message.payload else []
        self._unsent[message.topic] = [*shown, message]
        self._states[message.topic] = message

    def log_advanced(self) -> None:
        self._nudge()

    async def close(self) -> None:
        self._stopping.set()
        self._nudge(force=True)
        if self._thread is not None:
            await asyncio.wrap_future(self._ended)

    def _nudge(self, *, force: bool = False) -> None:
        if self._nudged and not force:
            return
        self._nudged = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the thread has ended
                self._loop.call_soon_threadsafe(self._wake.set)

    # --- the thread's side ---

    def _run(self, timeout_s: float) -> None:
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._until_closed(timeout_s))
        finally:
            self._settle(BrokerUnreachable(f"{self.url}: the connection failed"))

    async def _until_closed(self, timeout_s: float) -> None:
        """Whoever waits is told before the loop is torn down: that may wait for a name server."""
        try:
            await self._main(timeout_s)
        except BrokerUnreachable as error:
            self._settle(error)
        else:
            self._settle(BrokerUnreachable(f"{self.url}: closed before it was reached"))

    def _settle(self, error: BrokerUnreachable) -> None:
        """Nobody waits for this thread any longer."""
        self.connected = False
        if not self._first.done():
            self._first.set_exception(error)
        if not self._ended.done():
            self._ended.set_result(None)

    async def _main(self, timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(all_but_bad_descriptor)
        async with contextlib.AsyncExitStack() as stack:
            address = self._address
            if isinstance(address, Embedded):
                broker = await EmbeddedBroker.start(address.port)
                stack.push_async_callback(broker.close)
                address = Broker(HOST, broker.port, tls=False)
                self.url = str(address)
            await self._connect_first(address, timeout_s)
            await self._reconnect(address)

    async def _connect_first(self, address: Broker, timeout_s: float) -> None:
        """One conversation, after a first connection that must succeed in time."""
        reason = f"no answer within {timeout_s:g} s"
        deadline = asyncio.get_running_loop().time() + timeout_s
        for further in reversed(range(len(self._versions))):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            try:
                await self._visit(address, min(left, TRY_S if further else ANSWER_S))
                return
            except ConnectionLost as error:
                if self._first.done():
                    return  # it was reached, and lost again
                reason = str(error)
                if error.turned_away:
                    break
        raise BrokerUnreachable(f"{address} could not be reached: {reason}")

    async def _reconnect(self, address: Broker) -> None:
        """Conversations until it is time to leave."""
        failures = 0
        while not self._stopping.is_set():
            pause = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
            failures += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._until_stopping()
            if self._stopping.is_set():
                return
            self._greeted = False
            with contextlib.suppress(ConnectionLost):
                await self._visit(address, ANSWER_S)
            if self._greeted:
                failures = 0

    async def _until_stopping(self) -> None:
        while not self._stopping.is_set():
            await self._wake.wait()
            self._wake.clear()
            self._nudged = False

    async def _visit(self, address: Broker, timeout_s: float) -> None:
        """One connection from its greeting to its end; raises `ConnectionLost`."""
        opening = connect(
            address,
            identifier=f"infusor-{self._telemetry.device}-{self._telemetry.boot}",
            will=self._telemetry.availability(online=False),
            version=self._versions[0],
            timeout_s=timeout_s,
            on_refused=lambda why: self._on_odd(f"{address} throws away what is published: {why}"),
        )
        try:
            async with opening as connection:
                await self._converse(connection)
        except ConnectionLost as error:
            if self.connected:
                self._on_odd(f"{address} was lost: {error}")
            elif not self._first.done() and not error.turned_away:
                self._versions.rotate(-1)
            raise
        finally:
            self.connected = False

    async def _converse(self, connection: Connection) -> None:
        await connection.subscribe(self._telemetry.estop_topic)
        await self._greet(connection)
        self._versions = deque((connection.version,))
        self.connected = self._greeted = True
        if not self._first.done():
            self._first.set_result(None)
        try:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(self._listen(connection))
                await self._send(connection)
                listening.cancel()
        except* ConnectionLost as errors:
            raise errors.exceptions[0] from None

    async def _greet(self, connection: Connection) -> None:
        """Who comes late, or has seen us go, knows everything that stands."""
        await connection.send(self._telemetry.availability(online=True))
        with self._lock:
            standing = {topic: [message] for topic, message in self._states.items()}
            states = [message for both in (standing | self._unsent).values() for message in both]
            self._unsent.clear()
            self.dropped += len(self._samples)  # by now they show a moment that is long past
            self._samples.clear()
        for message in states:
            await self._send_state(connection, message)
        if self._cursor is not None:
            await self._send_numbered(connection, self._cursor, self._cursor.connected)
        self._wake.set()

    async def _send(self, connection: Connection) -> None:
        """Rounds of sending until it is time to leave."""
        while not self._stopping.is_set():
            await self._wake.wait()
            self._wake.clear()
            self._nudged = False
            if await self._send_round(connection):
                self._wake.set()
            await asyncio.sleep(SPACING_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                while await self._send_round(connection):
                    pass
                await connection.send(self._telemetry.availability(online=False))

    async def _send_round(self, connection: Connection) -> bool:
        """Answers first, then what stands, what happened, and last what will be different in a second.

        True when there are more events than one round may send.

        What cannot be sent is not lost: answers are put back, states are sent again by the next
        greeting, and events stay in the log.
        """
        while self._answers:
            message = self._answers.popleft()
            try:
                await connection.send(message, reply_to=self._replies.pop(message.topic, None))
            except ConnectionLost:
                self._answers.appendleft(message)
                raise
        while (states := self._take(self._unsent)) is not None:
            for state in states:
                await self._send_state(connection, state)
        more = await self._send_events(connection)
        while (sample := self._take(self._samples)) is not None:
            await connection.send(sample)
        return more

    def _take(self, waiting: dict[str, T]) -> T | None:
        with self._lock:
            return waiting.pop(next(iter(waiting))) if waiting else None

    async def _send_state(self, connection: Connection, message: Message) -> None:
        await connection.send(message)
        if not message.payload:
            with self._lock:
                if self._states.get(message.topic) is message:
                    del self._states[message.topic]

    async def _send_events(self, connection: Connection) -> bool:
        cursor = self._cursor
        if cursor is None:
            return False
        sent = await self._send_numbered(connection, cursor, cursor.next)
        return sent == BATCH

    async def _send_numbered(
        self,
        connection: Connection,
        cursor: EventCursor,
        read: Callable[[], list[tuple[int, Message]]],
    ) -> int:
        """How many events were sent.  A log that cannot be read is reported; the rest goes on."""
        try:
            batch = read()
            for seq, message in batch:
                await connection.send(message)
                cursor.seq = seq
            self._note_cursor(cursor)
        except OSError as error:
            self._on_odd(f"events could not be read for the dashboards: {error}")
            return 0
        return len(batch)

    def _note_cursor(self, cursor: EventCursor) -> None:
        """Keeps the cursor in its file, about once a second; what is repeated after a crash is known.

        Raises `OSError`.
        """
        now = asyncio.get_running_loop().time()
        if self._cursor_path is None or cursor.seq == self._noted:
            return
        if now >= self._noted_at + CURSOR_S or self._stopping.is_set():
            cursor_file.save(self._cursor_path, cursor.source, cursor.seq)
            self._noted, self._noted_at = cursor.seq, now

    async def _listen(self, connection: Connection) -> None:
        async for message in connection.inbound():
            obey(
                message.payload,
                retained=message.retained,
                on_estop=self._on_estop,
                on_odd=self._on_odd,
            )
            self._note_reply(message)

    def _note_reply(self, message: Inbound) -> None:
        """Remembers where else the answer is wanted, if that is a place among the answers."""
        if message.reply_to is None or len(self._replies) >= ANSWERS_MAX:
            return
        request_id = read_estop(message.payload).id
        ours = f"{self._telemetry.estop_topic}/result/"
        topic = message.reply_to.topic
        elsewhere = topic.startswith(ours) and topic != ours + request_id
        if request_id and elsewhere and not {"+", "#"} & set(topic):
            self._replies[ours + request_id] = message.reply_to
