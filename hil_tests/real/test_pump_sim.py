"""The fixture `pump_sim`: one contract, kept by the plugin of this distribution and by `pytest-infusor`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_infusor
import serial

from hil_tests.real.isolated_infusor import REPOSITORY, wrapped
from sim.pump_in_thread import PumpSims

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]

Sims = PumpSims | pytest_infusor.PumpSims
CLEAN = {"power_on": "clean"}


@pytest.fixture(params=["here", "isolated"])
def pump_sim(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sims]:
    monkeypatch.setenv("INFUSOR", str(wrapped(tmp_path)))
    with PumpSims() if request.param == "here" else pytest_infusor.PumpSims() as pumps:
        yield pumps


def opened(port: str) -> serial.SerialBase:
    return serial.serial_for_url(port, baudrate=19_200, timeout=2)


def ask(port: str, *commands: bytes) -> bytes:
    with opened(port) as line:
        answer = b""
        for command in commands:
            line.write(command)
            answer = line.read_until(b"\x03")
        return answer


RUN = (b"DIA20\r", b"RAT60MH\r", b"VOL5\r", b"RUN\r")


def test_a_driver_opens_the_port_and_talks_to_the_pump(pump_sim: Sims) -> None:
    pump = pump_sim(dialect="new-era")
    assert ask(pump.port, b"\r") == b"\x0200A?R\x03"
    assert ask(pump.port, b"VER\r") == b"\x0200SNE1000V3.928\x03"


@pytest.mark.parametrize("port", ["pty", "tcp", "rfc2217"])
@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # of pyserial
def test_the_port_is_of_the_kind_that_was_asked_for(pump_sim: Sims, port: str) -> None:
    pump = pump_sim(dialect="new-era", port=port, quirks=CLEAN)
    scheme = {"pty": "/", "tcp": "socket://127.0.0.1:", "rfc2217": "rfc2217://127.0.0.1:"}[port]
    assert pump.port.startswith(scheme)
    assert ask(pump.port, b"\r") == b"\x0200S\x03"


def test_the_truth_is_what_the_plunger_did(pump_sim: Sims) -> None:
    pump = pump_sim(dialect="new-era", quirks=CLEAN, syringe="bd-10", loaded_ml=7.5, held=True)
    assert pump.truth().content_nl == 7_500_000
    assert ask(pump.port, *RUN) == b"\x0200I\x03"
    assert pump.truth().rate_nl_h > 0
    time.sleep(0.05)
    assert pump.truth().delivered_nl == 0  # held
    pump.advance(60)
    pump.advance(seconds=0.5)
    truth = pump.truth()
    assert truth.delivered_nl + truth.stored_nl == truth.plunger_nl
    # The syringe is narrower than the driver said, so less comes than it asked for: 1008.3 uL.
    assert truth.plunger_nl == pytest.approx(1_008_333 * (14.5 / 20) ** 2, rel=0.02)
    assert truth.content_nl == pytest.approx(7_500_000 - truth.plunger_nl, abs=1)


def test_without_being_held_its_time_is_the_wall_s(pump_sim: Sims) -> None:
    pump = pump_sim(dialect="new-era", quirks=CLEAN)
    ask(pump.port, *RUN)
    began, before = time.perf_counter(), pump.truth().delivered_nl
    while pump.truth().delivered_nl < before + 2_000 and time.perf_counter() < began + 5:
        time.sleep(0.01)
    assert time.perf_counter() - began == pytest.approx(0.12, abs=0.5)
    pump.advance(60)
    assert pump.truth().delivered_nl > before + 1_000_000


def test_faults_are_injected_with_parameters_and_cleared(pump_sim: Sims) -> None:
    pump = pump_sim(dialect="new-era", quirks=CLEAN)
    pump.inject("mute")
    with opened(pump.port) as line:
        line.timeout = 0.1
        line.write(b"\r")
        assert line.read_until(b"\x03") == b""
    pump.clear("mute")
    pump.inject("frame_drop", direction="from_pump", for_commands=1)
    with opened(pump.port) as line:
        line.timeout = 0.1
        line.write(b"\r")
        assert line.read_until(b"\x03") == b""
    assert ask(pump.port, b"\r") == b"\x0200S\x03"
    pump.inject("half_open")
    pump.clear()
    assert ask(pump.port, b"\r") == b"\x0200S\x03"


def test_the_cable_and_the_mains_can_be_pulled(pump_sim: Sims) -> None:
    pump = pump_sim(dialect="new-era", quirks=CLEAN)
    name = pump.port
    ask(name, *RUN)
    with opened(name) as line:
        pump.unplug()
        with pytest.raises((serial.SerialException, OSError)):
            line.read(1)
    assert not Path(name).exists()
    pump.unplug()
    pump.replug()
    pump.replug()
    assert pump.port == name
    assert ask(name, b"\r") == b"\x0200I\x03"
    pump.power_cycle()
    assert ask(name, b"\r") == b"\x0200S\x03"


def test_the_transcript_holds_both_directions(pump_sim: Sims) -> None:
    pump = pump_sim(dialect="new-era", quirks=CLEAN)
    assert pump.transcript == []
    ask(pump.port, b"VER\r", b"\r")
    said = {"pump": b"", "host": b""}
    for piece in pump.transcript:
        said[piece.to] += piece.data
        assert 0 <= piece.t_s < 30
    assert said == {"pump": b"VER\r\r", "host": b"\x0200SNE1000V3.928\x03\x0200S\x03"}


def test_there_may_be_several_pumps_each_with_a_port_of_its_own(pump_sim: Sims) -> None:
    first = pump_sim(dialect="new-era", quirks=CLEAN)
    second = pump_sim(dialect="new-era", model="ne-500", address=7, quirks=CLEAN)
    assert first.port != second.port
    assert ask(first.port, b"VER\r") == b"\x0200SNE1000V3.928\x03"
    assert ask(second.port, b"07VER\r") == b"\x0207SNE500V3.928\x03"


def test_a_fault_script_is_played(pump_sim: Sims, tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text('[[fault]]\nat_s = 60\nkind = "motor_stall"\n')
    pump = pump_sim(dialect="new-era", quirks=CLEAN, faults=script, held=True)
    ask(pump.port, *RUN)
    pump.advance(3_600)
    # At most what the start-up took of the wall's time is missing from the first minute.
    assert 0 < pump.truth().plunger_nl <= 1_000_000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dialect": "acme"}, "acme"),
        ({"dialect": "new-era", "model": "ne-9"}, "model ne-9: it is one of"),
        ({"dialect": "new-era", "address": 100}, "address 100: it is in 0..99"),
        ({"dialect": "new-era", "syringe": "bd-11"}, "bd-11"),
        ({"dialect": "new-era", "syringe": "bd-10", "loaded_ml": 11.0}, "cannot hold 11 mL"),
        ({"dialect": "new-era", "loaded_ml": 11.0}, "only together with a syringe"),
        ({"dialect": "new-era", "quirks": {"power_on": "x"}}, "power_on cannot be 'x'"),
        ({"dialect": "new-era", "faults": "/absent"}, "No such file"),
        ({"dialect": "new-era", "seed": -1}, "seed"),
        ({"dialect": "new-era", "port": "usb"}, "port 'usb': it is one of pty, tcp, rfc2217"),
    ],
)
def test_an_option_that_cannot_be_is_refused(
    pump_sim: Sims, options: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        pump_sim(**options)  # type: ignore[arg-type]  # wrong ones are the point


def test_a_fault_or_a_time_that_cannot_be_is_refused_and_the_pump_goes_on(pump_sim: Sims) -> None:
    pump = pump_sim(dialect="new-era", quirks=CLEAN)
    with pytest.raises(ValueError, match="'meltdown' does not exist"):
        pump.inject("meltdown")
    with pytest.raises(ValueError, match="delay_ms cannot be -1"):
        pump.inject("reply_delay", delay_ms=-1)
    with pytest.raises(ValueError, match="'meltdown' does not exist"):
        pump.clear("meltdown")
    with pytest.raises(ValueError, match=r"must be in 0\.\.86400"):
        pump.advance(-1)
    assert ask(pump.port, b"\r") == b"\x0200S\x03"


# --- as plugins, in processes of their own --------------------------------------------------------------

SUITE = """
import os, threading
from pathlib import Path

def test_that_fails(pump_sim):
    pump = pump_sim(dialect="new-era")
    Path("port").write_text(pump.port)
    assert os.path.exists(pump.port)
    assert False, "on purpose"

def test_that_finds_nothing_of_it():
    assert not os.path.lexists(Path("port").read_text())
    assert threading.active_count() == 1
"""


def run_pytest(tmp_path: Path, plugin: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "INFUSOR": str(wrapped(tmp_path)),
        "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'pytest-infusor' / 'src'}",
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", plugin, "-p", "no:cacheprovider", *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


@pytest.mark.parametrize("plugin", ["sim.pytest_plugin", "pytest_infusor"])
def test_the_pump_ends_with_its_test_even_with_one_that_fails(tmp_path: Path, plugin: str) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    run = run_pytest(tmp_path, plugin)
    assert "1 failed, 1 passed" in run.stdout, run.stdout
    assert "on purpose" in run.stdout


@pytest.mark.parametrize("plugin", ["sim.pytest_plugin", "pytest_infusor"])
def test_the_plugin_tells_of_its_fixture(tmp_path: Path, plugin: str) -> None:
    run = run_pytest(tmp_path, plugin, "--fixtures")
    assert "is a running simulated pump; all of them end with the test" in run.stdout


@pytest.mark.parametrize("module", ["sim.pytest_plugin", "pytest_infusor"])
def test_importing_the_plugin_opens_nothing_and_brings_no_event_loop(module: str) -> None:
    code = (
        "import os, sys\n"
        "before = set(os.listdir('/proc/self/fd'))\n"
        f"import {module}\n"
        "assert 'asyncio' not in sys.modules, 'asyncio'\n"
        "assert set(os.listdir('/proc/self/fd')) == before\n"
        f"assert '{module}' == 'sim.pytest_plugin' or not {{'sim', 'controller', "
        "'firmware_bridge', 'serial'} & set(sys.modules)\n"
    )
    path = f"{REPOSITORY}:{REPOSITORY / 'pytest-infusor' / 'src'}"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_a_pump_does_not_outlive_tests_that_are_killed(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(
        "import os, signal\nfrom pathlib import Path\n\n"
        "def test_it(pump_sim):\n"
        "    Path('port').write_text(pump_sim(dialect='new-era').port)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert run_pytest(tmp_path, "pytest_infusor").returncode == -9
    port = Path((tmp_path / "port").read_text())
    deadline = time.perf_counter() + 10
    while port.is_symlink() and time.perf_counter() < deadline:
        time.sleep(0.02)
    assert not port.is_symlink()


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (None, "pump_sim needs the program infusor (none on the PATH)"),
        ("/absent/infusor", "$INFUSOR is /absent/infusor, which is no program"),
    ],
)
def test_without_the_program_it_is_said_what_to_install(
    named: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("INFUSOR", raising=False)
    if named is not None:
        monkeypatch.setenv("INFUSOR", named)
    with pytest_infusor.PumpSims() as pumps, pytest.raises(pytest_infusor.NoInfusor) as refused:
        pumps(dialect="new-era")
    assert said in str(refused.value)
    assert "uv tool install infusor" in str(refused.value)


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 7\n", "#!/bin/sh\necho oh >&2\nexit 1\n", "?"])
def test_a_program_that_is_no_infusor_is_told_of(
    tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = wrapped(tmp_path)
    program.write_text(script)
    monkeypatch.setenv("INFUSOR", str(program))
    with pytest_infusor.PumpSims() as pumps, pytest.raises(pytest_infusor.NoInfusor):
        pumps(dialect="new-era")


def test_a_pump_is_gone_after_its_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFUSOR", str(wrapped(tmp_path)))
    with pytest_infusor.PumpSims() as pumps:
        pump = pumps(dialect="new-era")
    pump.close()
    with pytest.raises(pytest_infusor.NoInfusor, match="has ended with its test"):
        pump.truth()


def test_the_tests_own_environment_does_not_mislead_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = wrapped(tmp_path)
    program.write_text('#!/bin/sh\necho "<$PYTHONPATH> $(pwd)" >&2\nexit 2\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("INFUSOR", str(program))
    monkeypatch.chdir(tmp_path)
    with pytest_infusor.PumpSims() as pumps, pytest.raises(pytest_infusor.PumpSimError) as refused:
        pumps(dialect="new-era")
    assert str(refused.value).startswith("<> ")
    assert str(tmp_path) not in str(refused.value)
