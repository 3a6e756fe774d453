"""Whole visits typed by a person at a terminal of 80 by 24, with every process and port of a real run.

The test reads the glass and types; it waits for words, never for a time.  Only reading takes a moment,
since an answer to what cannot have been read is not taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.log_format import longest_valid_prefix
from hil_tests.real.command_line import PROCEDURE, CommandLine
from hil_tests.real.glass import Person

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

SPEED = "240"
LAST = r"\n│ > _ +│\n╰"
"""What stands below all of the panel: the line that is being typed."""


@pytest.fixture
def user(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def at_the_terminal(user: CommandLine, procedure: str) -> Person:
    words = ("run", procedure, "--operator", "prompt", "--speed", SPEED, "--mqtt", "off")
    return Person(*words, folder=user.home, environment=user.environment)


def records(user: CommandLine) -> list[dict[str, Any]]:
    [log] = (user.home / "visits").rglob("*.jsonl")
    return [dict(record) for record in longest_valid_prefix(log.read_bytes()).records]


def of_kind(user: CommandLine, kind: str) -> list[dict[str, Any]]:
    return [record for record in records(user) if record["kind"] == kind]


def refuses(person: Person, line: str, words: str) -> None:
    """What is typed is not taken, with these kind words, and the question stands."""
    asked = question_on(person)
    person.types(line)
    person.sees(words)
    assert question_on(person) == asked, "another question came for a wrong answer"


def question_on(person: Person) -> str:
    """The last lines of the panel that say what is wanted now."""
    person.sees(LAST)
    [wanted] = re.findall(
        r"│ (?:Next: .*\n(?:│ .*\n)*?)?(\S[^\n]*?) *│\n│ > ", person.glass.visible
    )[-1:]
    return str(wanted)


def checklist(person: Person, items: int, *, leave: int = 0) -> None:
    for number in range(1, items + 1 - leave):
        person.sees(rf"Checklist {number} of {items}, for the (nurse|physician): ")
        person.types("yes")


def scores(person: Person, *answers: tuple[str, str]) -> None:
    for name, answer in answers:
        person.sees(rf"\n│ {name} \(.*\n(│ .*\n)?│ > _")
        person.types(answer)


RECOVERED = (
    ("pain_0_10", "3"),
    ("mood_0_10", "7"),
    ("sedation_0_4", "0"),
    ("nausea_0_3", "0"),
    ("walking_ok", "yes"),
)


def goes_home(person: Person) -> None:
    person.sees(r"Discharge\?")
    person.types("discharge")
    scores(person, ("escort_present", "yes"), ("instructions_given", "yes"))


def test_a_first_visit_is_typed_from_the_checklist_to_the_discharge_wrong_answers_included(
    user: CommandLine,
) -> None:
    with at_the_terminal(user, "ketamine-first-visit") as person:
        person.sees("Never a pump connected to a person")
        person.sees("Checklist 1 of 16, for the physician: Written informed consent is signed")
        person.sees("Next: the next item; with no the visit ends before any drug")
        refuses(person, "", "Enter alone is no answer here; please type one of: yes, no")
        refuses(person, "perhaps", "'perhaps' is none of them; please type one of: yes, no")
        checklist(person, 16, leave=1)
        person.sees(r"Checklist 16 of 16, for the physician: Syringe: ketamine 10 mg/mL, 20 mL")
        person.types("yes")

        person.sees("Pain now, 0")
        person.sees("pain_0_10: 0 to 10 points")
        person.sees("Next: the test bolus is proposed, once vitals were within limits for 2 min")
        refuses(person, "11", "pain_0_10 = 11 is outside 0 to 10 points")
        refuses(person, "3,5", "'3,5' is not a number; digits with at most two decimals, as in 7.5")
        refuses(person, "1e1", "'1e1' is not a number")
        refuses(person, "", r"Enter alone is no answer here; please type pain_0_10 \(0 to 10")
        scores(person, ("pain_0_10", "6.5"), ("mood_0_10", "4"))

        person.sees(r"Give the test bolus: 10 mg ketamine over 60 s\?")
        person.sees(r"volume = 10 mg / 10 mg/mL = 1 mL")
        person.sees("Next: the pump gives it at once")
        refuses(person, "yes", "'yes' is none of them; please type one of: confirm, refuse")
        person.reads()
        person.keys("abo")  # begun while the bolus is asked about; another question comes meanwhile
        person.sees("> abo_")
        person.keys("\x15")
        person.sees("> _")
        person.types("confirm")

        person.sees(r"How does the patient respond\? Test doses so far: 10 mg of at most 20 mg")
        person.sees("dose_mg: 5 to 10 mg, with nothing")
        person.types("nothing")
        person.sees(r"\n│ dose_mg \(5 to 10 mg\)")
        refuses(person, "75", "dose_mg = 75 is outside 5 to 10 mg")
        person.types("dissociation")  # another answer after all
        early = "not taken: observe for at least 600 s after the dose"
        proposed = r"Infuse 25 mg ketamine over 45 min\?"
        if person.sees(early, proposed) == early:  # unless this machine took 10 minutes to get here
            person.sees(r"observing .* 0:00:00 left")
            person.types("dissociation")

        person.sees(proposed)
        person.sees("rate = 2.5 mL / 45 min")
        person.sees("With change, another dose can be")
        person.types("confirm")
        person.sees(r"infusing .* left")
        person.sees("At any time: hold, emergency stop, anxiety")
        refuses(person, "h", "'h' is none of them")  # the whole word or nothing

        person.sees("recovering ")
        person.sees(r"\n│ pain_0_10 \(0 to 10 points\)")
        scores(person, *RECOVERED[:4])
        person.sees(r"\n│ walking_ok \(yes / no\)")
        refuses(person, "0.5", "neither yes nor no; please type walking_ok")
        scores(person, RECOVERED[4])
        goes_home(person)
        assert person.ends() == 0
        assert "completed: ketamine, response dissociation" in person.glass.everything
        assert "delivered        35.000 mg" in person.glass.everything

    for item in of_kind(user, "checklist"):
        assert item["by"] == f"{item['role']}, operator at the terminal"
    [finished] = of_kind(user, "finished")
    assert (finished["outcome"], finished["delivered_mg"]) == ("completed", 35)
    assert (finished["pain_before_0_10"], finished["pain_after_0_10"]) == (6.5, 3)


SIGNS = r"│ none / perioral_numbness"
SLOWLY = "signs_every_s = 900 "
"""At 240 times the wall clock the five minutes of the shipped file would leave 1.25 s to read and type."""


def amid_signs(person: Person, until: str, answers: dict[str, str]) -> int:
    """Answer whatever is asked, none to signs, until this is wanted; how often signs were asked for."""
    signs = 0
    while (asked := person.sees(until, SIGNS, *answers)) != until:
        person.types("none" if asked == SIGNS else answers[asked])
        signs += asked == SIGNS
        person.reads()  # until another picture has come
    return signs


def test_a_lidocaine_visit_asks_about_signs_and_a_sign_that_is_typed_holds(
    user: CommandLine,
) -> None:
    shipped = PROCEDURE.with_name("lidocaine-chronic-pain.toml").read_text()
    procedure = user.home / "lidocaine.toml"
    procedure.write_text(shipped.replace("signs_every_s = 300 ", SLOWLY))
    with at_the_terminal(user, str(procedure)) as person:
        checklist(person, 14)
        scores(person, ("pain_0_10", "7"), ("mood_0_10", "4"))
        person.sees(r"Infuse 210 mg lidocaine over 45 min\?")
        person.types("change")
        person.sees("dose_mg: 0.1 to 350 mg")
        refuses(person, "2100", "dose_mg = 2100 is outside 0.1 to 350 mg")
        person.types("210")
        person.sees(r"Infuse 210 mg lidocaine over 45 min\?")
        person.types("confirm")

        person.sees("Does the patient show or feel one of these")
        person.sees("any sign holds delivery; toxicity ends it and prompts lipid emulsion")
        refuses(person, "t", "'t' may be tinnitus or twitching; please type one of")
        person.types("tinnitus")
        person.sees(r"│ holding .*\n(│ .*\n)+│  ALARM  sign of toxicity: ringing in the ears")
        person.reads()
        rest = "Resume the infusion: the remaining volume"
        asked = amid_signs(person, rest, {"resume / recover / toxicity / abort": "resume"})
        assert asked >= 1
        person.sees("latched, type ack  sign of toxicity: ringing in the ears")
        person.types("ack")
        person.sees("alarm toxicity_sign acknowledged by operator at the terminal")
        amid_signs(person, "At any time: hold, emergency stop, toxicity", {rest: "confirm"})
        asked = amid_signs(
            person,
            "completed: lidocaine",
            {
                **{rf"\n│ {name} \(": answer for name, answer in RECOVERED},
                "discharge / not_yet": "discharge",
                r"\n│ escort_present \(": "yes",
                r"\n│ instructions_given \(": "yes",
            },
        )
        assert asked >= 2
        assert person.ends() == 0
    [finished] = of_kind(user, "finished")
    assert finished["outcome"] == "completed"
    assert finished["delivered_mg"] == pytest.approx(210, abs=0.1)
    signs = [record["sign"] for record in of_kind(user, "signs")]
    assert signs[0] == "tinnitus"
    assert set(signs[1:]) == {"none"}


def test_a_stop_that_is_typed_in_the_middle_of_an_answer_stops_and_latches(
    user: CommandLine,
) -> None:
    with at_the_terminal(user, "ketamine-first-visit") as person:
        checklist(person, 16)
        scores(person, ("pain_0_10", "6"), ("mood_0_10", "4"))
        person.sees("Give the test bolus")
        person.types("confirm")
        person.sees("How does the patient respond")
        person.types("nothing")
        person.sees(r"\n│ dose_mg \(5 to 10 mg\)")
        person.types("stop")
        assert person.ends() == 1
        assert "emergency_stopped (stop confirmed by the pump)" in person.glass.everything
    assert user.latch("bench-1").exists()
    [finished] = of_kind(user, "finished")
    assert finished["reason"] == "emergency stop by operator at the terminal"


def test_input_that_has_ended_is_told_once_and_assumes_nothing(user: CommandLine) -> None:
    words = ("run", "ketamine-first-visit", "--operator", "prompt", "--mqtt", "off")
    with user.running(*words, "--speed", SPEED) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write("yes\n")
        process.stdin.close()
        process.stdin = None
        lines = list(until_said(process.stderr, "the input has ended"))
        assert any("Checklist 2 of 16" in line for line in lines)
        process.terminate()  # still an emergency stop
        _, left = process.communicate(timeout=40)
    assert "the input has ended" not in left
    assert [record["choice"] for record in of_kind(user, "checklist")] == ["yes"]
    assert of_kind(user, "finished")[0]["reason"] == "emergency stop by SIGTERM"


def until_said(stream: Iterator[str], words: str) -> Iterator[str]:
    for line in stream:
        yield line
        if words in line:
            return
    raise AssertionError(f"{words!r} was never said")
