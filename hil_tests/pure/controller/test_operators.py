"""The scripted operator: order, defaults, what it refuses, what it leaves unused, and bad scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.operators import (
    ScriptedOperator,
    ScriptError,
    load_script,
    parse_script,
    shipped_scripts,
)
from controller.plan import Plan
from controller.procedure.effects import Outcome
from controller.procedure.events import Started
from controller.procedure.questions import Answer, Question, Value
from controller.procedure.table import State
from firmware_bridge.quantities import Mass
from hil_tests.pure.controller.visit_driver import Stage, shipped_plan


def script(text: str) -> ScriptedOperator:
    return parse_script(text.encode(), "script.toml")


def question(
    kind: str, state: State = State.OBSERVING, number: int = 1, **more: object
) -> Question:
    choices = {
        "response": ("anxiety", "analgesia", "dissociation", "nothing"),
        "supervise": ("hold", "estop", "anxiety", "abort"),
        "holding": ("resume", "recover", "anxiety", "abort"),
        "confirm": ("confirm", "refuse"),
        "checklist": ("yes", "no"),
        "rescue_drug": ("given", "declined"),
    }.get(kind, ())
    return Question(number, state, kind, "?", choices, **more)  # type: ignore[arg-type]  # as given


NOTHING_THEN_DISSOCIATION = """
[[answer]]
in = "observing"
after_s = 600
response = "nothing"
dose_mg = 7.5
[[answer]]
in = "observing"
response = "dissociation"
"""


def test_answers_are_used_in_order_after_their_time_in_the_state() -> None:
    operator = script(NOTHING_THEN_DISSOCIATION)
    asked = question("response", values={"dose_mg": Value("mg", 5, 10, ("nothing",))})
    assert operator.answer(asked, 100.0, 90.0) == (590.0, Answer("nothing", {"dose_mg": 7.5}))
    assert operator.answer(asked, 100.0, 100.0) == (600.0, Answer("dissociation"))
    assert operator.answer(asked, 100.0, 100.0) is None
    assert operator.unused() == ()


def test_a_dose_that_is_not_asked_for_is_left_out() -> None:
    planned = script(NOTHING_THEN_DISSOCIATION).answer(question("response"), 0, 0)
    assert planned == (600.0, Answer("nothing"))


def test_what_is_late_is_answered_at_once() -> None:
    planned = script(NOTHING_THEN_DISSOCIATION).answer(question("response"), 5_000, 0)
    assert planned is not None
    assert planned[0] == 0


@pytest.mark.parametrize("kind", ["checklist", "baseline_scores", "recovery_scores", "discharge"])
def test_harmless_questions_get_yes_as_proposed(kind: str) -> None:
    proposed = None if kind == "checklist" else Answer("", {})
    planned = script("").answer(question(kind, proposed=proposed), 0, 0)
    assert planned is not None
    assert planned[1] == (proposed or Answer("yes"))


def test_a_recovery_that_a_script_says_nothing_about_is_handed_over_in_the_end() -> None:
    asked = Question(1, State.RECOVERING, "supervise", "?", ("abort",))
    assert script("").answer(asked, 15_000, 0) == (3_600.0, Answer("abort"))
    earlier = script('[[answer]]\nin = "recovering"\nafter_s = 15060\naction = "abort"')
    assert earlier.answer(asked, 15_000, 0) == (60.0, Answer("abort"))


def test_a_confirmation_carries_its_token() -> None:
    planned = script("").answer(question("confirm", token="t-1"), 0, 0)
    assert planned is not None
    assert planned[1] == Answer("confirm", {}, "t-1")


def test_beyond_a_soft_limit_the_answer_is_no_unless_the_script_accepts() -> None:
    asked = question("confirm", State.INFUSING, soft=("too fast",), token="t")
    refused = script("").answer(asked, 0, 0)
    assert refused is not None
    assert refused[1].choice == "refuse"
    accepting = script('[[answer]]\nin = "infusing"\naccept_soft = true')
    for choice in ("confirm", "refuse"):
        planned = accepting.answer(asked, 0, 0)
        assert planned is not None
        assert planned[1].choice == choice
    assert accepting.unused() == ()


def test_accepting_may_stand_beside_an_action() -> None:
    operator = script(
        '[[answer]]\nin = "infusing"\nafter_s = 9\naction = "hold"\naccept_soft = true'
    )
    soft = operator.answer(question("confirm", State.INFUSING, soft=("x",)), 0, 0)
    assert soft is not None
    assert soft[1].choice == "confirm"
    assert operator.answer(question("supervise", State.INFUSING), 2, 0) == (7.0, Answer("hold"))


def test_the_test_bolus_is_accepted_under_its_own_name() -> None:
    operator = script('[[answer]]\nin = "test_bolus"\naccept_soft = true')
    planned = operator.answer(question("confirm", State.BASELINE, soft=("x",)), 0, 0)
    assert planned is not None
    assert planned[1].choice == "confirm"


def test_holding_and_supervision_are_answered_only_by_the_script() -> None:
    operator = script("")
    assert operator.answer(question("holding", State.HOLDING), 0, 0) is None
    assert operator.answer(question("supervise", State.INFUSING), 0, 0) is None


def test_a_resume_that_is_not_offered_is_not_given() -> None:
    operator = script('[[answer]]\nin = "holding"\naction = "resume"')
    asked = Question(1, State.HOLDING, "holding", "?", ("recover", "anxiety", "abort"))
    assert operator.answer(asked, 0, 0) is None
    assert operator.unused() == ("answer 1 (in holding: resume) was never used",)


def test_an_answer_whose_question_closed_is_unused_again() -> None:
    operator = script('[[answer]]\nin = "infusing"\nafter_s = 1200\naction = "hold"')
    assert operator.answer(question("supervise", State.INFUSING, 4), 0, 0) is not None
    assert operator.unused() == ()
    operator.withdrawn(4)
    operator.withdrawn(5)
    assert len(operator.unused()) == 1
    assert operator.answer(question("supervise", State.INFUSING, 6), 0, 0) is not None


def test_an_accept_that_was_never_needed_is_unused() -> None:
    operator = script('[[answer]]\nin = "infusing"\naccept_soft = true')
    assert operator.unused() == ("answer 1 (in infusing: accept_soft) was never used",)


def test_the_rescue_drug_is_scripted_or_as_proposed() -> None:
    asked = question(
        "rescue_drug",
        State.RESCUE,
        values={"midazolam_mg": Value("mg", 0.1, 5, ("given",))},
        proposed=Answer("given", {"midazolam_mg": 1.0}),
    )
    planned = script("").answer(asked, 0, 0)
    assert planned is not None
    assert planned[1].values == {"midazolam_mg": 1.0}
    written = script('[[answer]]\nin = "rescue"\naction = "given"\nmidazolam_mg = 2.0')
    assert written.answer(asked, 0, 0) == (1.0, Answer("given", {"midazolam_mg": 2.0}))


# --- bad scripts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[[answer]", "not a TOML file"),
        ("speed = 1", "unknown key"),
        ("answer = 3", "list of tables"),
        ("answer = [3]", "must be a table"),
        ('[[answer]]\nresponse = "nothing"', "in = (missing)"),
        ('[[answer]]\nin = "asleep"', "must be one of: preparing"),
        ('[[answer]]\nin = "observing"\nresponse = "bored"', "anxiety, analgesia"),
        ('[[answer]]\nin = "observing"\nafter = 3\nresponse = "anxiety"', "write after_s"),
        ('[[answer]]\nin = "observing"\ncolour = 3', "known are"),
        ('[[answer]]\nin = "observing"\nafter_s = nan\nresponse = "anxiety"', "after_s = nan"),
        ('[[answer]]\nin = "observing"\nafter_s = -1\nresponse = "anxiety"', "after_s = -1"),
        ('[[answer]]\nin = "observing"\nafter_s = "1"\nresponse = "anxiety"', "after_s = 1"),
        ('[[answer]]\nin = "observing"\nafter_s = true\nresponse = "anxiety"', "after_s = True"),
        ('[[answer]]\nin = "infusing"\nresponse = "anxiety"', "only in = observing"),
        ('[[answer]]\nin = "observing"\nresponse = "anxiety"\naction = "hold"', "not together"),
        ('[[answer]]\nin = "observing"\nresponse = "nothing"', "dose_mg = (missing)"),
        ('[[answer]]\nin = "observing"\nresponse = "anxiety"\ndose_mg = 5', "only with"),
        ('[[answer]]\nin = "holding"\naction = "hold"', "resume, recover"),
        ('[[answer]]\nin = "infusing"\naction = "resume"', "hold, estop"),
        ('[[answer]]\nin = "recovering"\naction = "hold"', "must be one of: abort"),
        ('[[answer]]\nin = "rescue"\naction = "given"', "midazolam_mg = (missing)"),
        ('[[answer]]\nin = "rescue"\naction = "declined"\nmidazolam_mg = 1', "only with given"),
        ('[[answer]]\nin = "infusing"', "needs a response, an action, signs or accept_soft"),
        ('[[answer]]\nin = "infusing"\naccept_soft = 1', "true or false"),
        ('[[answer]]\nin = "infusing"\nsigns = 3', "the word of a sign"),
        ('[[answer]]\nin = "baseline"\nsigns = "tinnitus"', "not in this state"),
        ('[[answer]]\nin = "infusing"\nsigns = "seizure"\naction = "hold"', "alone"),
        ('[[answer]]\nin = "rescue"\naction = "declined"\nlipid_ml = 1', "only with given"),
    ],
)
def test_a_wrong_script_is_refused_in_one_line(text: str, part: str) -> None:
    with pytest.raises(ScriptError) as caught:
        script(text)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("script.toml: ")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_script_or_a_script_error(raw: bytes) -> None:
    try:
        operator = parse_script(raw, "f")
    except ScriptError:
        return
    assert operator.unused() == ()


def test_a_script_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="cannot be read"):
        load_script(str(tmp_path / "absent.toml"))
    with pytest.raises(ScriptError, match="shipped are: analgesia, anxiety, demo"):
        load_script("absent")


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(NOTHING_THEN_DISSOCIATION)
    assert len(load_script(str(path)).unused()) == 2


# --- whole visits by script -------------------------------------------------------------------------


def by_script(operator: ScriptedOperator, plan: Plan | None = None) -> Stage:
    """A whole visit in which nobody but the script answers."""
    stage = Stage(plan)
    stage.feed(Started())
    planned: dict[int, tuple[float, Answer]] = {}
    known: set[int] = set()
    while not stage.outcomes:
        for asked in [q for q in stage.questions.values() if q.id not in known]:
            known.add(asked.id)
            answer = operator.answer(asked, stage.now, stage.visit.entered_at)
            if answer is not None:
                planned[asked.id] = (stage.now + answer[0], answer[1])
        due = [(at, i, a) for i, (at, a) in planned.items() if i in stage.questions]
        if not due:
            stage.run(60)
            continue
        at, number, reply = min(due, key=lambda d: d[:2])
        if at > stage.now:
            stage.run(min(at - stage.now, 60))
            continue
        del planned[number]
        if number in stage.questions:
            stage.say(stage.questions[number], reply.choice, reply.values)
    return stage


@pytest.mark.parametrize(
    ("name", "outcome", "required_mg", "delivered_mg"),
    [
        ("dissociation", Outcome.COMPLETED, 10, 35),
        ("analgesia", Outcome.COMPLETED, 10, 35),
        ("anxiety", Outcome.RESCUED, 10, 10),
        ("nothing", Outcome.COMPLETED, 17.5, 61.25),
        ("demo", Outcome.COMPLETED, 10, 35),
    ],
)
def test_every_shipped_script_plays_its_visit_to_the_end(
    name: str, outcome: Outcome, required_mg: float, delivered_mg: float
) -> None:
    operator = load_script(name)
    stage = by_script(operator)
    assert stage.outcomes == [outcome]
    account = stage.visit.account
    assert account.required == Mass.from_mg(required_mg)
    assert account.delivered.mass_at(account.concentration).mg == pytest.approx(
        delivered_mg, abs=0.002
    )
    assert operator.unused() == ()
    assert not stage.refused


@pytest.mark.parametrize(
    ("name", "outcome", "held"),
    [("tinnitus", Outcome.COMPLETED, True), ("toxicity", Outcome.RESCUED, False)],
)
def test_every_script_with_signs_plays_its_lidocaine_visit_to_the_end(
    name: str, outcome: Outcome, held: bool
) -> None:
    operator = load_script(name)
    stage = by_script(operator, shipped_plan("lidocaine-chronic-pain"))
    assert stage.outcomes == [outcome]
    assert (State.HOLDING in stage.path) is held
    assert operator.unused() == ()
    assert not stage.refused


def test_all_shipped_scripts_are_played_here() -> None:
    assert set(shipped_scripts()) == {
        "dissociation",
        "analgesia",
        "anxiety",
        "nothing",
        "demo",
        "tinnitus",
        "toxicity",
    }


def test_a_script_that_names_no_sign_says_there_is_none() -> None:
    asked = Question(3, State.INFUSING, "signs", "?", ("none", "tinnitus"))
    assert script("").answer(asked, 0, 0) == (1.0, Answer("none"))
    written = script('[[answer]]\nin = "infusing"\nafter_s = 600\nsigns = "tinnitus"')
    assert written.answer(asked, 300, 0) == (1.0, Answer("none"))
    assert written.unused()
    assert written.answer(asked, 600, 0) == (1.0, Answer("tinnitus"))
    assert written.unused() == ()
