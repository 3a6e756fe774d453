"""Hosts in the field, by what they send and what they insist on in the answer, on the models they drive.

Each is told here in its own words: how it writes a line, how it reads an answer, what makes it give up.
"""

from __future__ import annotations

import re

import pytest

from hil_tests.pure.sim.harvard_host import Host, made

# -- a host of an Elite that always sends its address, reads lines, and dies on an answer without digits -----


def _digits_host(host: Host, command: str, argument: str = "", address: int = 0) -> list[str]:
    """Bodies of the lines after the first, each with two digits and a prompt character."""
    raw = host.send(f"{address}{command} {argument}\r\n".encode())
    lines = [line.decode().strip() for line in raw.splitlines(keepends=True)][1:]
    bodies = []
    for line in filter(None, lines):
        assert len(line) >= 3, raw
        assert int(line[:2]) == address, raw
        assert line[2] in ":><T*", raw
        bodies.append(line[4:] if line[2] == "T" else line[3:])
    assert bodies, raw
    return bodies


@pytest.mark.parametrize(("model", "address"), [("11-elite", 0), ("11-elite", 7), ("phd-ultra", 0)])
def test_a_host_that_insists_on_digits_runs_an_elite(model: str, address: int) -> None:
    host = made(model=model, address=address)
    _digits_host(host, "stp", address=address)
    _digits_host(host, "diameter", "14.5670 mm", address)
    _digits_host(host, "svolume", "10.000000000000000 m", address)
    _digits_host(host, "FORCE", "30", address)
    assert "3.0." in _digits_host(host, "VER", address=address)[0]
    _digits_host(host, "cvolume", address=address)
    _digits_host(host, "ctvolume", address=address)
    low, high = _digits_host(host, "irate lim", address=address)[0].split(" to ")
    assert low.split()[1] == "nl/min"
    assert float(high.split()[0]) == pytest.approx(26.5, abs=0.05)
    _digits_host(host, "irate", "6.0000000000 m/m", address)
    assert _digits_host(host, "irate", address=address)[0] == "6 ml/min"
    _digits_host(host, "tvolume", "0.1 m", address)
    _digits_host(host, "irun", address=address)
    assert _digits_host(host, "crate", address=address)[0] == "Infusing at 6 ml/min"
    host.wait(0.5)
    assert host.send(f"{address}  \r\n".encode()).decode().strip()[2] == ">"
    host.wait(0.6)
    assert host.send(f"{address}  \r\n".encode()).decode().strip()[2:] == "T*"


def test_an_address_can_be_found_by_an_empty_line() -> None:
    for address, prompt in ((0, b":"), (12, b"12:")):
        lines = made(model="11-elite", address=address).send(b"\r\n").split(b"\n")
        assert lines == [b"", prompt]


# -- a host of a Legato that reads up to XON ----------------------------------------------------------------


def _xon_host(host: Host, command: str) -> tuple[list[str], str]:
    """Text lines and prompt of an answer that ends with XON."""
    raw = host.send(f"@{command}\r\n".encode())
    assert raw.count(b"\x11") == 1, raw
    assert raw.endswith(b"\x11")
    *message, prompt = raw.rstrip(b"\x11").strip().decode().split("\r\n")
    return message, prompt


def test_a_host_that_reads_up_to_xon_runs_a_legato() -> None:
    host = made()
    for command in ("poll on", "nvram none", "load qs iw"):
        assert _xon_host(host, command) == ([], ":")
    message, _ = _xon_host(host, "version")
    fields = dict(line.split(":", 1) for line in message)
    assert fields["Serial number"].strip() == "D101754"
    assert _xon_host(host, "irate 3 ml/min") == ([], ":")
    assert _xon_host(host, "tvolume 50 ul") == ([], ":")
    assert _xon_host(host, "irun") == ([], ">")
    host.wait(0.5)
    value, unit = _xon_host(host, "ivolume")[0][0].split(" ")
    assert (float(value), unit) == (25.0, "ul")
    host.wait(1.0)
    assert _xon_host(host, "irun") == ([], "T*")
    assert _xon_host(host, "stp") == ([], ":")


def test_it_falls_back_when_old_firmware_refuses_its_first_word() -> None:
    host = made("nvram_word=off")
    _xon_host(host, "poll on")
    assert _xon_host(host, "nvram none")[0][0] == "Argument error: none"
    assert _xon_host(host, "nvram off") == ([], ":")


# -- a host of a Legato 110 that counts lines and waits for the prompt that comes unasked --------------------


class _CountingHost:
    """One line of nothing, so many lines of text, one prompt, and not a byte more."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def send(self, command: str, lines: int = 0) -> list[str]:
        raw = self.host.send(command.encode() + b"\r").decode()
        first, rest = raw[:1], raw[1:]
        assert first == "\n", raw
        texts = []
        for _ in range(lines):
            text, rest = rest.split("\r\n", 1)
            texts.append(text)
        assert rest in {":", ">", "<", "*", "T*"}, raw
        return texts


def test_a_host_that_counts_lines_runs_a_legato_110() -> None:
    host = made(model="legato-110")
    pump = _CountingHost(host)
    assert pump.send("echo", 1) == ["OFF"]
    assert pump.send("poll", 1) == ["OFF"]
    assert pump.send("addr", 1)[0].split()[3] == "0"
    assert pump.send("ver", 1)[0][:10] == "Legato 110"
    assert len(pump.send("version", 3)) == 3
    pump.send("ftswitch fall")
    assert pump.send("ftswitch", 1) == ["Active low"]
    pump.send("force 50")
    assert pump.send("force", 1) == ["50%"]
    assert len(pump.send("status", 1)[0].split()[3]) == 6
    pump.send("syrm", 1)
    for rate in ("9 nl/sec", "5 ml/hr", "10 ul/min"):
        pump.send(f"wrate {rate}")
        assert pump.send("wrate", 1) == [rate]
    for unit in ("ml", "ul", "nl", "pl"):
        pump.send(f"tvolume 2 {unit}")
        assert pump.send("tvolume", 1) == [f"2 {unit}"]
    pump.send("load qs w")
    assert pump.send("load", 1)[0].split()[3] == "Withdraw"
    pump.send("tvolume 1 ul")
    pump.send("run")
    assert host.wait(10.0) == b"\nT*"


# -- a host of a PHD Ultra that reads two lines and looks at the first character -----------------------------


def test_a_host_that_reads_by_newlines_runs_a_phd_ultra() -> None:
    host = made("status_form=milliseconds", model="phd-ultra")

    def ask(command: str) -> list[str]:
        raw = host.send(f"@{command}\r".encode()).decode()
        assert "error" not in raw
        return raw.split("\n")[1:]

    for command in (
        "NVRAM off",
        "diameter 14.5700",
        "force 100",
        "civolume",
        "citime",
        "cttime",
        "tvolume 1.0 ml",
        "irate 3.0 ml/min",
        "force 050",
    ):
        assert ask(command) == [":"]
    assert ask("irun") == [">"]
    host.wait(10.0)
    status, prompt = ask("status")
    assert prompt == ">"
    rate, time, volume, flags = status.split()
    assert (int(rate), int(time), int(volume)) == (50_000_000_000, 10_000, 500_000_000_000)
    assert flags[0] == "I"
    assert flags[5] == "."
    assert host.wait(10.0) == b"\nT*"


# -- others ---------------------------------------------------------------------------------------------------


def test_a_host_that_searches_for_a_prompt_and_takes_the_first_line_between_lf_and_cr() -> None:
    host = made(model="11-elite")

    def ask(command: str) -> str:
        answer = host.send(f"{command}\r".encode()).decode()
        assert re.search(r"(:|<|>|T\*|\*)", answer)
        found = re.search("\n(.*?)\r", answer)
        return found[1] if found else ""

    assert ask("irate lim").count(" to ") == 1
    ask("diameter 14.43")
    assert float(ask("diameter").split(" ")[0]) == 14.43
    ask("tvolume 0.5 ml")
    ask("irun")
    ask("tvolume 0.25 ml")
    host.wait(60.0)
    assert ask("ivolume") == "250 ul"


def test_a_host_that_never_reads_and_one_that_writes_everything_at_once() -> None:
    host = made()
    host.send(b"echo off\r\nstatus\r\nrun\r\n")
    assert host.send(b"status\r\n").split()[3].startswith(b"I")
    host.send(b"stop\r\ncvolume\r\nctvolume\r\nctime\r\ncttime\r\n")
    answer = host.send(
        b"diameter 4.5\r\nsvolume 1.0 ml\r\ntvolume 100 ul\r\nirate 50 ul/min\r\nirun\r\n"
    )
    assert answer == b"\n:\n:\n:\n:\n>"
    host.wait(180.0)
    assert host.pump.truth().plunger_nl == 100_000


def test_a_host_of_a_daisy_chain_reads_the_prompt_at_the_end_of_a_fixed_count() -> None:
    for address in (0, 3):
        host = made(model="phd-ultra", address=address)
        answer = host.send(f"{address:02d}ver\r".encode()).decode()
        assert answer[-3:-1] == f"{address:02d}"
        host.send(f"{address:02d}diameter 10.5\r".encode())
        answer = host.send(f"{address:02d}diameter\r".encode()).decode()
        assert float(answer[-15:-8]) == 10.5
        refused = host.send(f"{address:02d}irate 999 ml/min\r".encode()).decode()
        assert "Out of range" in refused
        assert "Argument error" in refused
