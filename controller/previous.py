"""What an earlier visit proposes for the next: read from its session log, and no more than a proposal.

Nothing follows from it by itself: the dose is shown with its arithmetic, checked against every limit
as if a person had typed it, and given only when a person confirms it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from controller.plan import Plan, Proposal
from controller.procedure.effects import Outcome
from controller.procedure.visit import Kind
from controller.replay import Replayed, ReplayError, replay
from firmware_bridge.quantities import Concentration, Mass, QuantityError, Volume

RULE = "previous"
"""The infusion rule that asks for an earlier visit."""
STEP_UG = 100
"""A dose that was cut short is proposed rounded down to 0.1 mg."""
WHOLE_PCT = 99
"""From here on an infusion counts as given whole."""


class PreviousError(ValueError):
    """The log is none that a dose could be carried over from."""


def proposal_from(records: Iterable[Mapping[str, object]]) -> Proposal:
    """The proposal in the log of an earlier visit.  Raises `PreviousError`."""
    log = list(records)
    header = next((record for record in log if "drug" in record and "procedure" in record), None)
    if header is None:
        raise PreviousError("the log does not say which drug it is about")
    try:
        visit = replay(log)
        concentration = Concentration.from_mg_ml(_number(header, "concentration_mg_ml"))
    except (ReplayError, QuantityError, KeyError, TypeError) as error:
        raise PreviousError(f"the log cannot be followed: {error}") from error
    session, drug = str(header.get("session", "?")), str(header["drug"])
    lines, dose = _carried(visit, concentration)
    return Proposal(session, drug, dose, (f"earlier session {session}", *lines, *_benefit(log)))


def with_previous(plan: Plan, name: str, records: Iterable[Mapping[str, object]]) -> Plan:
    """The plan with the proposal of the log called ``name``.  Raises `PreviousError`."""
    if plan.infusion.name != RULE:
        raise PreviousError(
            f"{plan.name}: rule {plan.infusion.name} takes no dose from an earlier visit; "
            f"only rule {RULE} does"
        )
    try:
        proposal = proposal_from(records)
    except PreviousError as error:
        raise PreviousError(f"{name}: {error}") from error
    if proposal.drug != plan.drug:
        raise PreviousError(f"{name}: that visit was with {proposal.drug}, this one is {plan.drug}")
    return replace(plan, previous=proposal)


def _carried(visit: Replayed, concentration: Concentration) -> tuple[list[str], Mass | None]:
    infusions = [d for d in visit.deliveries if d.kind is Kind.INFUSION]
    tests = _mass(
        (d.delivered for d in visit.deliveries if d.kind is not Kind.INFUSION), concentration
    )
    given = _mass((d.delivered for d in infusions), concentration)
    lines = [f"outcome {visit.outcome or 'none'}, response {visit.response or 'none'}"]
    why = _why_nothing(visit, given)
    if why:
        return [*lines, f"nothing is proposed: {why}"], None
    ordered = infusions[0].mass
    whole = given.ug * 100 >= ordered.ug * WHOLE_PCT
    dose = ordered if whole else Mass(given.ug // STEP_UG * STEP_UG)
    lines.append(f"test doses {tests}, infusion ordered {ordered}, delivered {given}")
    lines.append(f"rule previous: the infusion {'ordered' if whole else 'delivered'} then = {dose}")
    return lines, dose


def _why_nothing(visit: Replayed, given: Mass) -> str:
    if visit.outcome != Outcome.COMPLETED.value:
        return "that visit was not completed"
    if visit.response == "nothing":
        return "that visit ended with the response nothing"
    return "" if given >= Mass(STEP_UG) else "that visit had no infusion"


def _benefit(log: list[Mapping[str, object]]) -> list[str]:
    """Pain and mood before and after, where they were written down."""
    before = next((r for r in log if r.get("kind") == "baseline"), {})
    after = next((r for r in reversed(log) if r.get("kind") == "recovery"), {})
    found = []
    for name in ("pain", "mood"):
        key = f"{name}_0_10"
        if key in before and key in after:
            found.append(f"{name} {before[key]} before, {after[key]} after")
    return found


def _mass(volumes: Iterable[Volume], concentration: Concentration) -> Mass:
    return Volume(sum(volume.nl for volume in volumes)).mass_at(concentration)


def _number(record: Mapping[str, object], key: str) -> int | float:
    value = record[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{key} = {value!r} is not a number")
    return value
