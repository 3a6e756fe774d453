"""The loading dose of a drug that has one: given like a bolus, over its minutes, and then the infusion.

It was confirmed at the end of baseline.  Interrupted, it is never repeated or completed: resuming goes
on to the infusion.
"""

from __future__ import annotations

from controller.procedure.decide_dosing import ask_supervision, bolus_timer, supervised
from controller.procedure.delivering import confirmed
from controller.procedure.draft import Draft
from controller.procedure.phase import Phase
from controller.procedure.table import State


def _entered(draft: Draft, previous: State) -> None:
    del previous
    ask_supervision(draft)
    confirmed(draft)


LOADING = Phase(entered=_entered, answered=supervised, timer=bolus_timer)
