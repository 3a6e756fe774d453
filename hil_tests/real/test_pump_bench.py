"""Several pumps in one process, at ports of every kind, met by pyserial as anybody's software would."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
import serial

from firmware_bridge.errors import ConfigurationError
from sim.physics import physics
from sim.pump_bench import Bench, read_bench

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]

FILE = """
[[pump]]
name = "left"
dialect = "new-era"
syringe = "bd-10"
loaded_ml = 7.5
quirks = { power_on = "clean" }
ports = ["pty:%s/chain", "tcp:127.0.0.1:0", "rfc2217:127.0.0.1:0"]

[[pump]]
name = "right"
dialect = "new-era"
model = "ne-500"
address = 1
quirks = { power_on = "clean" }
ports = ["pty:%s/chain"]
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    file = tmp_path / "bench.toml"
    file.write_text(FILE % (tmp_path, tmp_path))
    loop = asyncio.new_event_loop()
    made = Bench(read_bench(file), loop)
    thread = Thread(target=loop.run_forever)
    thread.start()
    yield made
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    made.close()
    loop.close()


def ask(port: serial.SerialBase, command: bytes) -> bytes:
    port.write(command)
    return bytes(port.read_until(b"\x03"))


def opened(name: str) -> serial.SerialBase:
    return serial.serial_for_url(name, baudrate=19_200, timeout=2)


def test_two_pumps_on_one_chain_answer_to_their_addresses(bench: Bench, tmp_path: Path) -> None:
    with opened(str(tmp_path / "chain")) as port:
        assert ask(port, b"0VER\r") == b"\x0200SNE1000V3.928\x03"
        assert ask(port, b"1VER\r") == b"\x0201SNE500V3.928\x03"
        ask(port, b"1DIA14.43\r")
        assert ask(port, b"1DIA\r") == b"\x0201S14.43\x03"
        assert ask(port, b"DIA\r") == b"\x0200S26.59\x03"


def test_one_pump_answers_at_each_of_its_ports_and_only_where_it_was_asked(bench: Bench) -> None:
    chain, tcp, rfc2217 = bench.pumps["left"].ports
    with opened(chain) as first, opened(tcp) as second:
        assert ask(second, b"VER\r") == b"\x0200SNE1000V3.928\x03"
        first.timeout = 0.05
        assert first.read(1) == b""
        first.timeout = 2
        assert ask(first, b"VER\r") == b"\x0200SNE1000V3.928\x03"
    assert rfc2217.startswith("rfc2217://127.0.0.1:")


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # of pyserial
def test_a_network_serial_port_takes_settings_lines_and_bytes_of_all_values(bench: Bench) -> None:
    _, _, rfc2217 = bench.pumps["left"].ports
    with serial.serial_for_url(
        rfc2217, baudrate=9_600, bytesize=7, parity="E", stopbits=2, timeout=2
    ) as port:
        assert ask(port, b"VER\r") == b"\x0200SNE1000V3.928\x03"
        port.baudrate = 19_200
        port.dtr = False
        port.rts = True
        port.send_break(0.01)
        port.reset_input_buffer()
        assert ask(port, b"\r") == b"\x0200S\x03"
    with opened(rfc2217) as again:
        assert ask(again, b"\r") == b"\x0200S\x03"


def test_a_port_that_hangs_up_comes_again_under_its_name(bench: Bench, tmp_path: Path) -> None:
    link = str(tmp_path / "chain")
    left = bench.pumps["left"]
    with opened(link) as port:
        bench.loop.call_soon_threadsafe(partial(left.inject, "hang_up", reopen_after_s=0.2))
        assert ask(port, b"1VER\r").startswith(b"\x0201")  # the other pump holds the chain's port
        assert left.port == link
    with opened(link) as port:
        while ask(port, b"0VER\r") != b"\x0200SNE1000V3.928\x03":
            port.timeout = 0.2


def test_a_named_set_is_the_pump_s_physics_and_a_named_syringe_goes_before_its_own(
    tmp_path: Path,
) -> None:
    file = tmp_path / "bench.toml"
    file.write_text("[[pump]]\ndialect='harvard'\nphysics='bd60-ripple'\nsyringe='bd-10'\n")
    [spec] = read_bench(file)
    assert spec.options.drive == physics("bd60-ripple").drive
    assert spec.options.mount.diameter_um == 14_430


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "one to 100 [[pump]] tables"),
        ("pump = 3", "one to 100 [[pump]] tables"),
        ("colour = 1\n[[pump]]\ndialect='new-era'", "unknown key 'colour'"),
        ("[[pump]]\nmodel='ne-1000'", "pump 1: dialect is missing"),
        ("[[pump]]\ndialect='acme'", "acme"),
        ("[[pump]]\ndialect='new-era'\naddress=100", "address 100: it is in 0..99"),
        ("[[pump]]\ndialect='new-era'\naddress=true", "address = True is of the wrong type"),
        ("[[pump]]\ndialect='new-era'\nsyringe='bd-10'\nloaded_ml=11", "cannot hold 11 mL"),
        ("[[pump]]\ndialect='new-era'\nloaded_ml=1", "only together with a syringe"),
        ("[[pump]]\ndialect='new-era'\nphysics='acme'", "'acme' does not exist; there are ideal"),
        ("[[pump]]\ndialect='new-era'\nquirks={power_on='x'}", "power_on cannot be 'x'"),
        ("[[pump]]\ndialect='new-era'\nports=['usb:1']", "port 'usb:1': it is pty"),
        ("[[pump]]\ndialect='new-era'\nports=['tcp:1:99999']", "0..65535"),
        ("[[pump]]\ndialect='new-era'\nports=[]", "must be texts"),
        ("[[pump]]\ndialect='new-era'\nspeed=2", "unknown key 'speed'"),
        ("[[pump]]\nname='a'\ndialect='new-era'\n" * 2, "name 'a' is there twice"),
        ("not toml", "not a TOML file"),
    ],
)
def test_a_file_that_describes_no_bench_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        read_bench(file)
    assert said in str(refused.value)
    assert str(file) in str(refused.value)
