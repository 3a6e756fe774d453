"""Two New Era pumps in virtual time, a host at each, and a hand on the control channel."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from firmware_bridge.transports import memory
from sim.control import Control
from sim.devices.new_era import NewEraPump
from sim.serve import Served, serve_memory


class Host:
    """Somebody's software at one pump."""

    def __init__(self, pump: NewEraPump | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.heard: list[bytes] = []
        self.arrival = asyncio.Event()
        self.served: Served = serve_memory(pump or NewEraPump(), self._new_end(), self.loop)

    def _new_end(self) -> memory.MemoryTransport:
        self.end, far = memory.pair(self.loop, a_name="host", b_name="pump")
        self.end.start(self._received, lambda _cause: None)
        return far

    def _received(self, data: bytes) -> None:
        self.heard.append(data)
        self.arrival.set()

    async def ask(self, command: bytes) -> bytes:
        self.arrival.clear()
        self.end.write(command)
        await self.arrival.wait()
        return self.heard[-1]

    async def run(self, ml_h: int) -> None:
        """A fresh pump says first that it was reset; the target is far away."""
        for command in (b"\r", b"DIA20\r", f"RAT{ml_h}MH\r".encode(), b"VOL999\r", b"RUN\r"):
            await self.ask(command)

    @property
    def delivered_nl(self) -> int:
        return self.served.truth().delivered_nl


class Hand:
    """Asks a control channel as JSON lines."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def raw(self, line: bytes) -> Any:
        answer = self._control.handle(line)
        return None if answer is None else json.loads(answer)

    def answer(self, method: str, **params: object) -> Any:
        request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        answer = self.raw(json.dumps(request).encode())
        assert (answer["jsonrpc"], answer["id"]) == ("2.0", 7)
        return answer

    def ask(self, method: str, **params: object) -> Any:
        answer = self.answer(method, **params)
        assert "error" not in answer, answer
        return answer["result"]

    def refused(self, method: str, **params: object) -> tuple[int, str]:
        error = self.answer(method, **params)["error"]
        return error["code"], error["message"]


class TwoPumps:
    """``left`` runs at 60 mL/h, ``right`` at 36 mL/h: 16.667 and 10 uL a second."""

    def __init__(self) -> None:
        self.left, self.right = Host(), Host()
        pumps = {"left": self.left.served, "right": self.right.served}
        self.hand = Hand(Control(pumps, seed=3))

    async def start(self) -> None:
        await self.left.run(60)
        await self.right.run(36)

    def close(self) -> None:
        self.left.served.close()
        self.right.served.close()
