"""Finding out who is on a port: simulated pumps on pseudo-terminals and on TCP."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from firmware_bridge.errors import LinkError
from firmware_bridge.probe import Wanted, find_pump
from firmware_bridge.probe_questions import QUESTIONS
from hil_tests.real.command_line import CommandLine
from sim.devices.base import Device
from sim.devices.kinds import BUILT_IN, PumpOptions, device_kind
from sim.serve import serve_pty, serve_tcp

pytestmark = pytest.mark.real


def made(dialect: str, model: str = "", address: int | None = None, *quirks: str) -> Device:
    kind = device_kind(dialect)
    options = PumpOptions(model=model or kind.models[0], quirks=quirks)
    return kind.make(options if address is None else replace(options, address=address))


@pytest.mark.parametrize(
    ("dialect", "address"),
    [
        ("harvard", 0),
        ("harvard", 3),
        ("new-era", 0),
        ("new-era", 4),
        ("alaris", None),
        ("fresenius", None),
    ],
)
async def test_who_is_on_a_pseudo_terminal(dialect: str, address: int | None) -> None:
    served = serve_pty(made(dialect, "", address), asyncio.get_running_loop())
    try:
        found = await find_pump(Wanted(port=served.port))
    finally:
        served.close()
    assert found.answer.dialect == dialect
    assert found.answer.address == (address or 0)
    assert found.baud is None
    assert served.device.truth().steps == 0


async def test_a_pump_in_safe_mode_is_found_as_well() -> None:
    device = made("new-era")
    served = serve_tcp(device, asyncio.get_running_loop())
    device.feed(b"RAT10MH\r", 0.0)  # acknowledges the reset alarm
    device.feed(b"SAF5\r", 0.0)
    try:
        found = await find_pump(Wanted(port=served.port))
    finally:
        served.close()
    assert found.answer.dialect == "new-era"


async def test_a_port_on_which_nobody_answers_says_what_was_asked() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tried: list[str] = []
    async with server:
        with pytest.raises(LinkError, match="nobody answers; asked for alaris, fresenius"):
            await find_pump(
                Wanted(port=f"socket://127.0.0.1:{port}", address=0), on_try=tried.append
            )
    assert len(tried) == len(QUESTIONS)


@pytest.mark.parametrize("dialect", BUILT_IN)
def test_no_question_moves_a_pump_or_makes_it_answer_as_another(dialect: str) -> None:
    for kind_model in device_kind(dialect).models:
        device = made(dialect, kind_model)
        now = 1.0
        for _ in range(2):
            for question in QUESTIONS:
                for address in question.addresses[:3]:
                    said = b"".join(frame for _, frame in device.feed(question.asks(address), now))
                    answer = question.reads(said)
                    assert answer is None or answer.dialect == dialect, (kind_model, said)
                    now += 1.0
                    device.feed(b"\r", now)
                    device.advance(now)
        device.advance(now + 600.0)
        assert device.truth().steps == 0, kind_model


def test_the_command_says_who_answers_and_then_meets_it(tmp_path: Path) -> None:
    user = CommandLine(tmp_path)
    pump = user.start("sim", "pump", "--dialect", "harvard", "--pty", str(tmp_path / "pump"))
    try:
        assert pump.stdout is not None
        port = json.loads(pump.stdout.readline())["port"]
        done = user.run("pump", f"auto:{port}", "identify", "--json")
        assert done.code == 0, done.err
        told = done.json
        assert told["answered"]["dialect"] == "harvard"
        assert told["identity"]["bounded_by"] == "target"
        assert "bounded by target" in told["identity"]["lacks"]["dead_man"]
        refused = user.run("pump", f"auto:{port}", "stop")
        assert refused.code == 2
        assert "auto: goes with identify only" in refused.complaint
    finally:
        pump.terminate()
        pump.communicate(timeout=10)
