"""Wrong input: the exit code of the contract, one clear line, and not a byte to the pump."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil_tests.real.command_line import (
    PROCEDURE,
    SYRINGE,
    CommandLine,
    InThisProcess,
    SilentPump,
    ended,
)

pytestmark = pytest.mark.real

VISIT = "ketamine-first-visit"
INFUSE = ("infuse", *SYRINGE)


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(tmp_path_factory.mktemp("user"))


@pytest.fixture
def here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, user: CommandLine
) -> InThisProcess:
    for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, user.environment[name])
    monkeypatch.chdir(user.home)
    return InThisProcess(capsys)


@pytest.fixture
def pump() -> Iterator[SilentPump]:
    made = SilentPump()
    yield made
    made.close()


class Patient:
    """Commands that wait some seconds before they give up; started before the quick tests."""

    def __init__(self, user: CommandLine) -> None:
        self.mute, self.held = SilentPump(), SilentPump()
        fcntl.flock(self.held.slave, fcntl.LOCK_EX)  # as pyserial does for exclusive access
        amounts = ("--rate-ml-h", "5", "--volume-ml", "1")
        self.at_mute = user.start("pump", self.mute.url, *INFUSE, *amounts, "--device", "a")
        self.at_held = (
            user.start("pump", self.held.url, "status", "--device", "b"),
            user.start("run", VISIT, "--pump", self.held.url, "--mqtt", "off", "--device", "c"),
        )


@pytest.fixture(scope="module", autouse=True)
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    made = Patient(CommandLine(tmp_path_factory.mktemp("patient")))
    yield made
    for process in (made.at_mute, *made.at_held):
        if process.returncode is None:
            process.kill()
            process.communicate()
    made.mute.close()
    made.held.close()


def as_file(folder: Path, text: str) -> str:
    path = folder / "changed.toml"
    path.write_text(text)
    return str(path)


def changed(pattern: str, replacement: str) -> str:
    text, changes = re.subn(pattern, replacement, PROCEDURE.read_text(), flags=re.MULTILINE)
    assert changes == 1
    return text


# --- a procedure file --------------------------------------------------------------------------------

BAD_PROCEDURES = {
    "unknown key": (r"^weight_kg.*", "weight_kg = 70\nshoe_size = 43", "shoe_size"),
    "missing unit": (r"^weight_kg.*", "weight = 70", "weight"),
    "NaN": (r"^weight_kg.*", "weight_kg = nan", "weight_kg = NaN: must be 30 to 200 kg"),
    "infinite": (r"^concentration_mg_ml.*", "concentration_mg_ml = inf", "mg_ml = Infinity"),
    "negative": (r"^dose_mg =.*", "dose_mg = -10.0", "dose_mg = -10"),
    "text for a number": (r"^age_years.*", 'age_years = "40"', "age_years"),
    "beyond a hard limit": (r"^dose_mg =.*", "dose_mg = 500.0", "dose_mg = 500"),
    "wrong drug": (r'^name = "ketamine"$', 'name = "heroin"', "heroin"),
}


@pytest.mark.parametrize("case", BAD_PROCEDURES)
@pytest.mark.parametrize("command", ["run", "rehearse"])
def test_a_bad_procedure_is_refused_naming_file_key_and_value(
    here: InThisProcess, tmp_path: Path, pump: SilentPump, command: str, case: str
) -> None:
    pattern, replacement, named = BAD_PROCEDURES[case]
    path = as_file(tmp_path, changed(pattern, replacement))
    options = ("--pump", pump.url) if command == "run" else ()
    end = here.run(command, path, *options)
    assert end.code == 2
    assert end.complaint.startswith(f"infusor {command}: ")
    assert path in end.complaint
    assert named in end.complaint
    assert pump.heard() == b""


def test_a_value_beyond_a_hard_limit_is_refused_with_that_limit(
    here: InThisProcess, tmp_path: Path
) -> None:
    path = as_file(tmp_path, changed(r"^dose_mg =.*", "dose_mg = 500.0"))
    assert re.search(r"500.*\d+ mg", here.run("rehearse", path).complaint.replace(path, ""))


@pytest.mark.parametrize("command", ["run", "rehearse"])
def test_a_truncated_procedure_is_refused(
    here: InThisProcess, tmp_path: Path, pump: SilentPump, command: str
) -> None:
    path = as_file(tmp_path, PROCEDURE.read_text()[: PROCEDURE.read_text().index("10.0") - 2])
    options = ("--pump", pump.url) if command == "run" else ()
    end = here.run(command, path, *options)
    assert (end.code, path in end.complaint) == (2, True)
    assert pump.heard() == b""


# --- the command line -----------------------------------------------------------------------------------

BAD_WORDS: dict[str, tuple[str, ...]] = {
    # what is wrong, as the complaint names it: the command line
    "no command 'fly'": ("fly",),
    "no command 'sim fly'": ("sim", "fly"),
    "campaigns: not part of this version": ("campaign", VISIT),
    "nosuch: no such procedure": ("run", "nosuch"),
    "nofile.toml: cannot be read": ("rehearse", "./nofile.toml"),
    "unrecognized arguments: --fly": ("run", VISIT, "--fly"),
    "unrecognized arguments: --see 3": ("rehearse", VISIT, "--see", "3"),
    "--seed -1: must be 0 or more": ("rehearse", VISIT, "--seed", "-1"),
    "invalid int value: '1.5'": ("run", VISIT, "--seed", "1.5"),
    "--faults x: No such file": ("rehearse", VISIT, "--faults", "x"),
    "random fault scripts are not part": ("rehearse", VISIT, "--faults", "random"),
    "nobody: no such operator script": ("rehearse", VISIT, "--operator", "nobody"),
    "--speed 0: must be from 0.1 to 262": ("run", VISIT, "--speed", "0"),
    "--speed nan: must be from 0.1": ("run", VISIT, "--speed", "nan"),
    "--speed 1e+06: must be from 0.1 to 262": ("run", VISIT, "--speed", "1e6"),
    "invalid float value: 'fast'": ("run", VISIT, "--speed", "fast"),
    "which only runs at 1": ("run", VISIT, "--speed", "2", "--pump", "new-era:/dev/ttyUSB0"),
    "socket://192.0.2.1:4001 is hardware": (
        *("run", VISIT, "--speed", "2", "--pump", "new-era:socket://192.0.2.1:4001"),
    ),
    "dialect 'graseby' does not exist": ("run", VISIT, "--pump", "sim:graseby"),
    "baud 17 is not one of 300": ("run", VISIT, "--pump", "new-era:/dev/ttyUSB0?baud=17"),
    "device: 'Bench 1' is not 1 to 32": ("run", VISIT, "--device", "Bench 1"),
    "'http://x' is not mqtt://": ("run", VISIT, "--mqtt", "http://x"),
    "a password never stands in a URL": ("run", VISIT, "--mqtt", "mqtt://me:secret@x"),
    "port '99999' is not 1 to 65535": ("run", VISIT, "--mqtt", "embedded:99999"),
    "--vitals nofile.csv": ("run", VISIT, "--vitals", "replay:nofile.csv"),
    "--vitals guess: must be sim or replay": ("run", VISIT, "--vitals", "guess"),
    "--page 127.0.0.1:80: the live page": ("run", VISIT, "--page", "127.0.0.1:80"),
    "argument action: invalid choice: 'fly'": ("pump", "sim:new-era", "fly"),
    "required: URL, action": ("pump",),
    "--device: 'A_b'": ("pump", "sim:new-era", "status", "--device", "A_b"),
    "--rate-ml-h 5: goes with infuse": ("pump", "sim:new-era", "status", "--rate-ml-h", "5"),
    "--rate-ml-h, --volume-ml: must be given": ("pump", "sim:new-era", *INFUSE),
    "--diameter-mm, --syringe-ml: must be given": (
        *("pump", "sim:new-era", "bolus", "--rate-ml-h", "5", "--volume-ml", "1"),
    ),
    "--dialect fax: it does not exist; there are alaris": ("sim", "pump", "--dialect", "fax"),
    "--speed 0: must lie between 0.01": ("sim", "pump", "--dialect", "new-era", "--speed", "0"),
    "--physics 'acme' does not exist": (
        *("sim", "pump", "--dialect", "new-era"),
        *("--physics", "acme"),
    ),
    "--address 100: it is in 0..99": ("sim", "pump", "--dialect", "new-era", "--address", "100"),
    "syringe 'bucket' does not exist": (
        *("sim", "pump", "--dialect", "new-era", "--syringe", "bucket"),
    ),
    "--weight-kg 'nan': not a number": (
        *("sim", "patient", "--drug", "ketamine", "--weight-kg", "nan"),
        *("--dose", "10 mg at 0 s", "--at", "60"),
    ),
    "not a number from 40 to 160": (
        *("sim", "patient", "--drug", "ketamine", "--weight-kg", "500"),
        *("--dose", "10 mg at 0 s", "--at", "60"),
    ),
    "drug 'heroin': there are ketamine": (
        *("sim", "patient", "--drug", "heroin", "--weight-kg", "70"),
        *("--dose", "10 mg at 0 s", "--at", "60"),
    ),
    "--dose '10 at 0 s': write it like": (
        *("sim", "patient", "--drug", "ketamine", "--weight-kg", "70"),
        *("--dose", "10 at 0 s", "--at", "60"),
    ),
    "'-10': not a number from 0": (
        *("sim", "patient", "--drug", "ketamine", "--weight-kg", "70"),
        *("--dose", "-10 mg at 0 s", "--at", "60"),
    ),
    "device: '../x' is not 1 to 32": ("estop", "--device", "../x"),
    "--reset needs --device": ("estop", "--reset"),
    "--reset --mqtt: a latch is removed": ("estop", "--reset", "--mqtt", "mqtt://x"),
    "--mqtt embedded: must name a broker": ("estop", "--mqtt", "embedded"),
    "invalid choice: 'burn'": ("log", "burn", "x"),
    "export: not part of this version": ("log", "export", "x"),
    "nofile: No such file": ("log", "verify", "nofile"),
    "no session log": ("log", "show", str(PROCEDURE)),
}


@pytest.mark.parametrize("wrong", BAD_WORDS)
def test_bad_usage_is_one_line_that_names_it(here: InThisProcess, wrong: str) -> None:
    end = here.run(*BAD_WORDS[wrong])
    assert end.code == 2
    assert wrong.removeprefix("--device: ") in end.complaint
    assert end.complaint.startswith("infusor")


@pytest.mark.parametrize("command", sorted({words[0] for words in BAD_WORDS.values()}))
def test_a_process_of_its_own_ends_the_same_way(user: CommandLine, command: str) -> None:
    wrong, words = next((w, words) for w, words in BAD_WORDS.items() if words[0] == command)
    end = user.run(*words)
    assert (end.code, wrong in end.complaint) == (2, True)


BAD_QUANTITIES: dict[tuple[str, str], str] = {
    ("nan", "1"): "--rate-ml-h nan",
    ("-5", "1"): "--rate-ml-h -5",
    ("1e2", "1"): "--rate-ml-h 1e2",
    ("7,5", "1"): "--rate-ml-h 7,5",
    ("0", "1"): "--rate-ml-h 0: must be above 0",
    (".5", "1"): "--rate-ml-h .5",
    ("007", "1"): "--rate-ml-h 007",
    ("٣", "1"): "--rate-ml-h ٣",
    ("1200.1", "1"): "--rate-ml-h 1200.1: is above the cap of 1200 mL/h",
    ("5", "20.1"): "--volume-ml 20.1: is above the syringe's 20 mL",
    ("0.1", "20"): "motor time, above the cap of 86400 s",
    ("5", "1 mL"): "--volume-ml 1 mL: must be digits",
}


@pytest.mark.parametrize("quantities", BAD_QUANTITIES)
def test_a_quantity_that_is_none_or_too_much_never_reaches_the_pump(
    here: InThisProcess, pump: SilentPump, quantities: tuple[str, str]
) -> None:
    rate, volume = quantities
    end = here.run("pump", pump.url, *INFUSE, "--rate-ml-h", rate, "--volume-ml", volume)
    assert end.code == 2
    assert BAD_QUANTITIES[quantities] in end.complaint
    assert pump.heard() == b""


def test_a_diameter_and_a_volume_that_make_no_syringe_never_reach_the_pump(
    here: InThisProcess, pump: SilentPump
) -> None:
    words = ("infuse", "--rate-ml-h", "5", "--volume-ml", "1")
    end = here.run("pump", pump.url, *words, "--diameter-mm", "1.905", "--syringe-ml", "20")
    assert end.code == 2
    assert "--diameter-mm 1.905" in end.complaint
    assert "7017 mm long; must be 15 to 250" in end.complaint
    assert pump.heard() == b""


def test_a_quantity_without_its_unit_is_no_option(here: InThisProcess, pump: SilentPump) -> None:
    end = here.run("pump", pump.url, *INFUSE, "--rate", "5", "--volume-ml", "1")
    assert (end.code, "unrecognized arguments: --rate 5" in end.complaint) == (2, True)
    assert pump.heard() == b""


# --- what is not there, or belongs to somebody else -------------------------------------------------------

UNREACHABLE: dict[str, tuple[str, ...]] = {
    "/dev/no-such-tty: absent": ("pump", "new-era:/dev/no-such-tty", "identify"),
    "socket://127.0.0.1:1: refused": ("pump", "new-era:socket://127.0.0.1:1", "status"),
    "/dev/no-such-tty2: absent": (
        *("run", VISIT, "--mqtt", "off", "--pump", "new-era:/dev/no-such-tty2"),
    ),
    "mqtt://127.0.0.1:1 could not be reached": ("run", VISIT, "--mqtt", "mqtt://127.0.0.1:1"),
    "no bridge of this user is running": ("estop",),
    "no bridge of bench-7 is running": ("estop", "--device", "bench-7"),
    "mqtt://localhost:1 could not be reached": ("estop", "--mqtt", "mqtt://localhost:1"),
}


@pytest.mark.parametrize("missing", UNREACHABLE)
def test_what_cannot_be_reached_is_named_once(user: CommandLine, missing: str) -> None:
    end = user.run(*UNREACHABLE[missing])
    assert end.code == 3
    assert missing in end.complaint


def test_a_visit_that_never_began_leaves_no_log(user: CommandLine) -> None:
    logs = user.home / "never"
    words = ("--mqtt", "off", "--pump", "new-era:/dev/no-such-tty", "--log-dir", str(logs))
    assert user.run("run", VISIT, *words).code == 3
    assert list(logs.iterdir()) == []


def test_without_a_broker_nothing_is_said_to_the_pump(user: CommandLine, pump: SilentPump) -> None:
    end = user.run("run", VISIT, "--mqtt", "mqtt://127.0.0.1:1", "--pump", pump.url)
    assert (end.code, pump.heard()) == (3, b"")


def test_a_port_that_another_program_holds_is_busy(patient: Patient) -> None:
    for process in patient.at_held:
        end = ended(process)
        assert (end.code, "busy" in end.complaint) == (3, True)
    assert patient.held.heard() == b""


def test_a_standing_latch_refuses_whatever_could_move(tmp_path: Path, pump: SilentPump) -> None:
    user = CommandLine(tmp_path)
    user.latch("bench-1").parent.mkdir(parents=True)
    user.latch("bench-1").write_text("emergency stop by somebody\n")
    amounts = ("--rate-ml-h", "5", "--volume-ml", "1")
    for words in (
        ("run", VISIT, "--pump", pump.url),
        ("pump", pump.url, *INFUSE, *amounts),
        ("pump", pump.url, "restore"),
    ):
        end = user.run(*words)
        assert end.code == 1
        assert "bench-1 is latched (emergency stop by somebody)" in end.complaint
    assert pump.heard() == b""
    assert user.latch("bench-1").exists()


def test_a_pump_that_does_not_answer_was_told_to_stop_and_nothing_else(patient: Patient) -> None:
    end = ended(patient.at_mute)
    assert end.code == 3
    assert "no answer from a New Era pump at address 0" in end.complaint
    assert set(re.findall(rb"[A-Z]{3}", patient.mute.heard())) == {b"STP"}
