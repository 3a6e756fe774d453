"""The simulated clinician: answers the questions of a visit from what the patient shows.

Knows nothing of the controller.  A question is a mapping with these keys (others are ignored):

``kind state``          see the table; the state of the visit as text
``choices``             the choices offered now, maybe none
``values``              name -> {"min": .., "max": ..} of the numbers asked for
``proposed``            {"choice": .., "values": {..}}, or None
``in_state_s``          seconds since the visit entered its state
``sample``              the latest sample of the monitor (`sim.monitor`), or nothing
``reason``              in ``holding``: why, where known; after a crash ``interrupted``

=================  =================================  ==================================================
kind               choices                            values (yes and no are 1 and 0)
=================  =================================  ==================================================
checklist          yes no
baseline_scores                                       pain_0_10 mood_0_10
confirm            confirm refuse
response           anxiety analgesia dissociation     dose_mg, with nothing
                   nothing
supervise          hold estop anxiety toxicity abort
signs              none, or a sign of toxicity
holding            resume recover anxiety toxicity
                   abort
infusion_dose                                         dose_mg
rescue_drug        given declined; after a dose       midazolam_mg or lipid_ml, with given
                   given enough
recovery_scores                                       pain_0_10 mood_0_10 sedation_0_4 nausea_0_3
                                                      walking_ok
discharge          discharge not_yet                  escort_present instructions_given
=================  =================================  ==================================================

The answer is a delay and ``{"choice": .., "values": {..}}``, or a delay and None: *ask me again after the
delay, I am still watching*.  Pure and seeded: all chance comes from one stream.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sim.chance import Draw
from sim.effects import effects

OBSERVE_S = 600.0
"""Shortest observation after a test dose: 10 min."""
RECOVER_S = 3600.0
"""Observation of at least 60 min after the last dose, as emergency departments do."""
LOOK_EVERY_S = 15.0
"""How often somebody at the bedside looks up."""
GIVE_UP_HOLDING_S = 600.0
RESUMES_MAX = 3
"""A visit that was held again and again is ended: recover instead."""
HAND_OVER_S = 6.0 * 3600.0
"""Who cannot go home so long after the last dose, for whatever reason, is handed over; our choice."""
DROWSY = 2.0
"""The grade of sedation written down for somebody who is sedated and can be roused."""
UNROUSABLE = 4.0
SEVERE = ("twitching", "seizure", "cardiovascular")
"""Signs that this clinician calls toxicity at once; with an earlier one he holds and looks."""
MIDAZOLAM_MG = 1.0
"""A dose of the rescue, unless another is proposed."""
FIT_DISSOCIATION_PCT = 25.0
"""Below this somebody is taken to be clear enough to walk; our choice."""

HOLD_LIMITS: Mapping[str, tuple[float, float]] = {
    "nibp_sys_mmhg": (90.0, 180.0),
    "nibp_dia_mmhg": (0.0, 110.0),
    "hr_bpm": (50.0, 150.0),
    "rr_bpm": (10.0, 30.0),
    "spo2_pct": (94.0, 100.0),
}
"""Unstable vital signs of an emergency-department protocol; SpO2 and DBP are our choice."""

Question = Mapping[str, Any]
Answer = dict[str, Any]


class Reply(NamedTuple):
    """After ``delay_s``: the answer, or None for *ask me again*."""

    delay_s: float
    answer: Answer | None


class Clinician:
    """One clinician through one visit; remembers the highest signs seen and the baseline scores."""

    def __init__(
        self, draw: Draw, *, observe_s: float = OBSERVE_S, recover_s: float = RECOVER_S
    ) -> None:
        self._draw = draw
        self._observe_s = observe_s
        self._recover_s = recover_s
        self._signs: Mapping[str, Any] = {}
        self._dissociation_peak_pct = 0.0
        self._pain_fall_peak_cm = 0.0
        self._was_anxious = self._was_toxic = False
        self._baseline: Mapping[str, float] = {"pain_0_10": 7.0, "mood_0_10": 4.0}
        self._resumes = 0
        self._ways: Mapping[str, Callable[[Question], Reply]] = {
            "checklist": self._checklist,
            "baseline_scores": self._baseline_scores,
            "confirm": self._confirm,
            "response": self._response,
            "supervise": self._supervise,
            "signs": self._name_sign,
            "holding": self._holding,
            "infusion_dose": self._infusion_dose,
            "rescue_drug": self._rescue_drug,
            "recovery_scores": self._recovery_scores,
            "discharge": self._discharge,
        }

    def see(self, sample: Mapping[str, Any]) -> None:
        """A look at the patient.  Peaks are kept, so that a question may come after the peak."""
        signs = sample.get("signs")
        if not signs:
            return
        self._signs = signs
        dissociation, relief = signs.get("dissociation_pct", 0.0), signs.get("pain_fall_cm", 0.0)
        self._dissociation_peak_pct = max(self._dissociation_peak_pct, dissociation)
        self._pain_fall_peak_cm = max(self._pain_fall_peak_cm, relief)
        self._was_anxious = self._was_anxious or bool(signs.get("anxious"))
        self._was_toxic = self._was_toxic or self._toxic_now()

    def reply(self, question: Question) -> Reply:
        """What the clinician says to it, and when.  Raises `ValueError` for an unknown kind."""
        way = self._ways.get(question["kind"])
        if way is None:
            raise ValueError(f"question {question['kind']!r}: there are {', '.join(self._ways)}")
        self.see(question.get("sample") or {})
        return way(question)

    # --- before the drug ------------------------------------------------------------------------

    def _checklist(self, question: Question) -> Reply:
        return self._say(question, "yes", after=(3.0, 8.0))

    def _baseline_scores(self, question: Question) -> Reply:
        self._baseline = {
            "pain_0_10": 5.0 + self._one_of(5),
            "mood_0_10": 2.0 + self._one_of(5),
        }
        return self._say(question, "", self._baseline, after=(20.0, 60.0))

    def _confirm(self, question: Question) -> Reply:
        """Yes, also beyond a soft limit; but no more for somebody who is anxious or poisoned now."""
        dosing = question.get("state") in {"observing", "titrating"}
        upset = (self._anxious_now() and dosing) or self._toxic_now()
        return self._say(question, "refuse" if upset else "confirm", after=(5.0, 15.0))

    # --- while it acts --------------------------------------------------------------------------

    def _response(self, question: Question) -> Reply:
        if self._was_anxious:
            return self._say(question, "anxiety", after=(5.0, 20.0))
        left = self._observe_s - question.get("in_state_s", 0.0)
        if left > 0:
            return Reply(min(left, LOOK_EVERY_S), None)
        if not self._signs:
            # Nobody can say how a patient feels whom nobody sees.
            return Reply(LOOK_EVERY_S, None)
        seen = effects().response(
            anxious=False,
            dissociation_pct=self._dissociation_peak_pct,
            pain_fall_cm=self._pain_fall_peak_cm,
        )
        further = {"dose_mg": 5.0 + 2.5 * self._one_of(3)} if seen == "nothing" else {}
        return self._say(question, seen, further, after=(3.0, 9.0))

    def _supervise(self, question: Question) -> Reply:
        distress = self._distress(question)
        if distress:
            return self._say(question, distress, after=(5.0, 20.0))
        if question.get("state") == "recovering" and question.get("in_state_s", 0.0) >= HAND_OVER_S:
            return self._say(question, "abort", after=(60.0, 120.0))
        ill = self._signs.get("rousable") is False or self._toxic_now()
        if ill and "hold" in question.get("choices", ("hold",)):
            return self._say(question, "hold", after=(2.0, 5.0))
        return Reply(LOOK_EVERY_S, None)

    def _name_sign(self, question: Question) -> Reply:
        """The worst sign there is now; without any view of the patient, look again."""
        if not self._signs:
            return Reply(LOOK_EVERY_S, None)
        offered = question.get("choices", ())
        seen = self._signs.get("toxicity") or "none"
        # A sign that is not on the list is still a sign: better the worst of the list than none.
        choice = seen if seen in offered or seen == "none" else offered[-1]
        return self._say(question, choice, after=(5.0, 15.0))

    def _holding(self, question: Question) -> Reply:
        offered = question.get("choices", ())
        distress = self._distress(question)
        if distress:
            return self._say(question, distress, after=(5.0, 20.0))
        # After any sign of toxicity there is no more: what comes next may be a seizure.
        tired = self._was_toxic or self._resumes >= RESUMES_MAX
        tired = tired or question.get("reason") == "interrupted"
        if not tired and "resume" in offered and self._all_well(question.get("sample") or {}):
            self._resumes += 1
            return self._say(question, "resume", after=(20.0, 60.0))
        if tired or question.get("in_state_s", 0.0) >= GIVE_UP_HOLDING_S:
            choice = "recover" if "recover" in offered else "abort"
            return self._say(question, choice, after=(20.0, 60.0))
        return Reply(LOOK_EVERY_S, None)

    def _infusion_dose(self, question: Question) -> Reply:
        """The proposed dose where it is allowed, otherwise the highest that is, in half milligrams."""
        allowed = question.get("values", {}).get("dose_mg", {})
        lowest, highest = allowed.get("min", 0.0), allowed.get("max", 0.0)
        dose = _proposed(question).get("dose_mg", math.inf)
        if not lowest <= dose <= highest:
            dose = max(lowest, math.floor(highest * 2) / 2)
        return self._say(question, "", {"dose_mg": dose}, after=(15.0, 40.0))

    def _rescue_drug(self, question: Question) -> Reply:
        """Drawn up and checked, then its injection begins; another only while the first is not enough."""
        offered = question.get("choices", ("given",))
        done = "enough" if "enough" in offered else "declined"
        if "given" not in offered or (done == "enough" and not self._in_distress()):
            return self._say(question, done, after=(30.0, 60.0))
        usual = {"midazolam_mg": MIDAZOLAM_MG, "lipid_ml": math.inf}
        dose = usual | dict(_proposed(question))
        return self._say(question, "given", dose, after=(120.0, 180.0))

    # --- afterwards -----------------------------------------------------------------------------

    def _recovery_scores(self, question: Question) -> Reply:
        """As they are, fit or not: who is not fit is asked about again."""
        waited = question.get("in_state_s", 0.0)
        if waited < self._recover_s:
            return Reply(self._recover_s - waited, None)
        relief = round(self._pain_fall_peak_cm)
        scores = {
            "pain_0_10": max(0.0, self._baseline["pain_0_10"] - relief),
            "mood_0_10": min(10.0, self._baseline["mood_0_10"] + self._one_of(3)),
            "sedation_0_4": self._sedation(),
            "nausea_0_3": float(self._draw() < 0.2),
            "walking_ok": float(self._fit()),
        }
        return self._say(question, "", scores, after=(60.0, 120.0))

    def _discharge(self, question: Question) -> Reply:
        if not self._fit():
            return Reply(300.0, None)
        done = {"escort_present": 1.0, "instructions_given": 1.0}
        return self._say(question, "discharge", done, after=(120.0, 300.0))

    # --- small things ---------------------------------------------------------------------------

    def _say(
        self,
        question: Question,
        choice: str,
        values: Mapping[str, float] | None = None,
        *,
        after: tuple[float, float],
    ) -> Reply:
        """The answer after a delay between two bounds, with every value inside the limits it has.

        Values that the question does not ask for are left out.
        """
        low, high = after
        asked = question.get("values", {})
        given = {
            name: max(asked[name].get("min", value), min(asked[name].get("max", value), value))
            for name, value in (values or {}).items()
            if name in asked
        }
        delay = low + (high - low) * self._draw()
        return Reply(delay, {"choice": choice, "values": given})

    def _one_of(self, count: int) -> int:
        return int(count * self._draw())

    def _anxious_now(self) -> bool:
        return bool(self._signs.get("anxious"))

    def _toxic_now(self) -> bool:
        return bool(self._signs.get("toxicity"))

    def _in_distress(self) -> bool:
        return self._anxious_now() or self._toxic_now()

    def _distress(self, question: Question) -> str:
        """Anxiety or toxicity, where it is there and on offer; nothing otherwise."""
        offered = question.get("choices", ("anxiety", "toxicity"))
        if self._anxious_now() and "anxiety" in offered:
            return "anxiety"
        severe = self._signs.get("toxicity") in SEVERE
        return "toxicity" if severe and "toxicity" in offered else ""

    def _sedation(self) -> float:
        """Sedation and nothing else: who is far away may be wide awake."""
        if self._signs.get("rousable") is False:
            return UNROUSABLE
        return DROWSY if self._signs.get("sedated") else 0.0

    def _fit(self) -> bool:
        """Awake and steady; without any signs nobody says otherwise."""
        clear = self._signs.get("dissociation_pct", 0.0) < FIT_DISSOCIATION_PCT
        return clear and not self._signs.get("sedated", False) and not self._toxic_now()

    def _all_well(self, sample: Mapping[str, Any]) -> bool:
        """Every vital sign is there and inside its limits."""
        return self._signs.get("rousable") is not False and all(
            low <= sample.get(signal, -1.0) <= high for signal, (low, high) in HOLD_LIMITS.items()
        )


def _proposed(question: Question) -> Mapping[str, float]:
    proposed = question.get("proposed") or {}
    values: Mapping[str, float] = proposed.get("values", {})
    return values
