"""Procedure files: the shipped one, and everything that can be wrong with one, in one line each."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.library import load_library
from controller.plan import PlanError, load_plan, parse_plan, shipped_procedures
from firmware_bridge.quantities import Duration, Mass, Volume

LIBRARY = load_library()
TEXT = (files("controller") / "data" / "procedures" / "ketamine-first-visit.toml").read_text()


def broken(old: str, new: str) -> str:
    """The one line that says what is wrong after replacing ``old`` by ``new``."""
    assert old in TEXT, old
    with pytest.raises(PlanError) as caught:
        parse_plan(TEXT.replace(old, new, 1).encode(), "visit.toml", LIBRARY)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("visit.toml: ")
    return line


def test_the_shipped_procedure_has_the_defaults_of_the_clinic() -> None:
    plan = load_plan("ketamine-first-visit")
    assert plan.subject.weight_kg == 70
    assert (plan.subject.age_years, plan.subject.height_cm) == (40, 170)
    assert plan.concentration.mg_ml == 10
    assert (plan.syringe.diameter_um, plan.syringe.loaded) == (19_050, Volume.from_ml(20))
    assert plan.test_bolus.dose == Mass.from_mg(10)
    assert plan.test_bolus.duration == Duration.from_s(60)
    assert (plan.further_min, plan.further_max) == (Mass.from_mg(5), Mass.from_mg(10))
    assert plan.limits.test_total_hard == Mass.from_mg(20)
    assert (plan.infusion.name, plan.infusion.k_milli) == ("multiple", 2_500)
    assert plan.infusion.ceiling == Duration.from_min(49.5)
    assert plan.times.observing_s_min == 600
    assert len(plan.checklist) == 16
    assert plan.library_sha256 == LIBRARY.sha256


def test_every_shipped_procedure_loads() -> None:
    assert "ketamine-first-visit" in shipped_procedures()
    for name in shipped_procedures():
        assert load_plan(name).name == name


def test_a_path_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    assert load_plan(str(path)).file == str(path)


@pytest.mark.parametrize("name", ["no-such", "ketamine", "", ".."])
def test_a_name_that_is_not_shipped_says_which_are(name: str) -> None:
    with pytest.raises(PlanError, match=r"shipped are: .*ketamine-first-visit"):
        load_plan(name)


@pytest.mark.parametrize("path", ["absent.toml", "a/b", "."])
def test_a_file_that_cannot_be_read_says_why(path: str, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read"):
        load_plan(str(tmp_path / path))


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (
            "weight_kg = 70.0",
            "weight = 70.0",
            ["subject.weight_kg", "required", "weight lacks its unit"],
        ),
        ("weight_kg = 70.0", "weight_kg = 70.0\nheight = 1", ["subject.height", "write height_cm"]),
        ("weight_kg = 70.0", "", ["subject.weight_kg", "required"]),
        ("weight_kg = 70.0", "weight_kg = nan", ["subject.weight_kg", "NaN", "30 to 200 kg"]),
        ("weight_kg = 70.0", "weight_kg = inf", ["Infinity"]),
        ("weight_kg = 70.0", "weight_kg = -70", ["-70", "30 to 200 kg"]),
        ("weight_kg = 70.0", 'weight_kg = "70"', ["must be a number"]),
        ("weight_kg = 70.0", "weight_kg = true", ["must be a number"]),
        ("weight_kg = 70.0", "weight_kg = 29.9", ["29.9"]),
        ("age_years = 40", "age_years = 40.5", ["whole number"]),
        ("age_years = 40", "age_years = 17", ["18 to 100"]),
        ("age_years = 40", "age_years = false", ["whole number"]),
        ('name = "ketamine"\n', 'name = "ketamin"\n', ["drug.name", "ketamin", "drug library"]),
        ('name = "ketamine"\n', 'name = "midazolam"\n', ["drug.name"]),
        ('name = "ketamine"\n', "name = 3\n", ["must be text"]),
        ("concentration_mg_ml = 10.0", "concentration_mg_ml = 50.0", ["50", "which has 10 mg/mL"]),
        ("concentration_mg_ml = 10.0", "concentration_mg_ml = 0", ["concentration_mg_ml = 0"]),
        ("diameter_mm = 19.05", "diameter_mm = 190.5", ["syringe.diameter_mm", "1 to 50 mm"]),
        (
            "diameter_mm = 19.05",
            "diameter_mm = 18.8",
            ["syringe.diameter_mm = 18.8", "a BD 20 mL has 19.05 mm"],
        ),
        ("size_ml = 20.0", "size_ml = 30.0", ["with size_ml = 30", "a BD 20 mL holds 20 mL"]),
        (
            'name = "BD 20 mL"\ndiameter_mm = 19.05',
            'name = "mine"\ndiameter_mm = 1.905',
            ["syringe.diameter_mm = 1.905", "with size_ml = 20", "7017 mm long", "15 to 250"],
        ),
        ("loaded_ml = 20.0", "loaded_ml = 21.0", ["loaded_ml", "at most the size, 20 mL"]),
        ("loaded_ml = 20.0", "loaded_ml = 0.5", ["test_bolus.dose_mg", "syringe holds"]),
        (
            "\ndose_mg = 10.0",
            "\ndose_mg = 20.5",
            ["test_bolus.dose_mg = 20.5", "hard limit", "20 mg"],
        ),
        ("\nduration_s = 60", "\nduration_s = 20", ["test_bolus.duration_s = 20", "30 s"]),
        ("\ndose_mg = 10.0", "\ndose = 10.0", ["dose lacks its unit"]),
        ("dose_mg_min = 5.0", "dose_mg_min = 4.0", ["further_dose.dose_mg_min", "5 to 10 mg"]),
        ("dose_mg_max = 10.0", "dose_mg_max = 11", ["further_dose.dose_mg_max", "5 to 10 mg"]),
        ("dose_mg_min = 5.0\ndose_mg_max = 10.0", "dose_mg_min = 8\ndose_mg_max = 6", ["at least"]),
        ('rule = "multiple"', 'rule = "double"', ["infusion.rule", "multiple, hold_effect"]),
        ("k = 2.5", "k = 25", ["infusion.k = 25", "0.1 to 10"]),
        ("duration_s = 2700", "duration_s = 60", ["infusion.duration_s", "600"]),
        ("ceiling_pct = 10", "ceiling_pct = 50", ["ceiling_pct", "20 %"]),
        ("test_total_mg_max = 20.0", "test_total_mg_max = 25.0", ["0 to 20 mg (hard limit)"]),
        (
            "test_total_mg_max = 20.0",
            "test_total_max = 20.0",
            ["limits.test_total_max", "unknown key"],
        ),
        ("test_total_mg_max = 20.0", "test_total_mg_max = 9", ["test_bolus.dose_mg", "9 mg"]),
        ("observing_s_min = 600", "observing_s_min = 1200", ["longer than observing_s_min"]),
        ("recovering_s_min = 3600", "recovering_s_min = 60", ["3600"]),
        ("recovering_s_max = 14400", "recovering_s_max = 3600", ["longer than recovering_s_min"]),
        ('consent = { role = "physician",', "consent = { who = 1,", ["checklist.consent.role"]),
        ("[subject] ", "[subjects] ", ["subject", "required"]),
        ('name = "ketamine-first-visit"', "", ["name", "required"]),
        ('name = "ketamine-first-visit"', 'name = "x"\nsubject = 3', ["TOML"]),
        ('name = "ketamine-first-visit"', 'name = "x"\nspeed = 3', ["speed = 3", "unknown key"]),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(old: str, new: str, parts: list[str]) -> None:
    line = broken(old, new)
    for part in parts:
        assert part in line


def test_a_table_that_is_none_and_an_empty_checklist_are_refused() -> None:
    head, _, tail = TEXT.partition("[checklist]")
    with pytest.raises(PlanError, match="at least one item"):
        parse_plan(f"{head}[checklist]\n".encode(), "f", LIBRARY)
    with pytest.raises(PlanError, match="checklist = 3: must be a table"):
        parse_plan(f"checklist = 3\n{head}".encode(), "f", LIBRARY)
    assert tail


def test_narrower_limits_are_kept() -> None:
    text = TEXT.replace(
        "test_total_mg_max = 20.0", "test_total_mg_max = 15\nvisit_total_mg_max = 40"
    )
    plan = parse_plan(text.encode(), "f", LIBRARY)
    assert plan.limits.test_total_hard == Mass.from_mg(15)
    assert plan.limits.visit_hard == Mass.from_mg(40)
    assert plan.limits.infusion_hard == LIBRARY.drugs["ketamine", ""].infusion_hard


@pytest.mark.parametrize("length", range(0, len(TEXT), 97))
def test_a_truncated_file_is_refused(length: int) -> None:
    with pytest.raises(PlanError):
        parse_plan(TEXT[:length].encode(), "f", LIBRARY)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_plan_or_a_plan_error(raw: bytes) -> None:
    with pytest.raises(PlanError):
        parse_plan(raw, "f", LIBRARY)


@given(st.integers(0, len(TEXT) - 1), st.characters(min_codepoint=32, max_codepoint=126))
def test_one_changed_character_is_a_plan_or_a_plan_error(place: int, character: str) -> None:
    text = TEXT[:place] + character + TEXT[place + 1 :]
    try:
        plan = parse_plan(text.encode(), "f", LIBRARY)
    except PlanError as error:
        assert "\n" not in str(error)  # noqa: PT017  (both endings are right)
    else:
        assert plan.test_bolus.dose <= plan.limits.bolus_hard
