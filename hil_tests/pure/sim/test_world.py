"""What a simulated world is told, and what it makes of nonsense."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from sim.monitor import Monitor
from sim.patient import Patient
from sim.pharmacokinetics import PatientError
from sim.world import World


class Lying:
    """As much of a patient as a fact touches."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.midazolam: list[float] = []
        self.drug_ug = 0.0

    def advance_to(self, moment: float, drug_ug: float) -> None:
        self.now_s = moment
        self.drug_ug += drug_ug

    def give_midazolam(self, mg: float) -> None:
        if not 0.0 < mg < float("inf"):
            raise PatientError(f"{mg} mg")
        self.midazolam.append(mg)


def world_of(patient: Lying) -> World:
    return World(
        patient=cast("Patient", patient),
        monitor=cast("Monitor", SimpleNamespace(samples=lambda now: [{"t_s": now}])),
        concentration_ug_ml=10_000,
        send=lambda _line: None,
        plunger=None,
    )


@pytest.mark.parametrize(
    "line",
    [
        b'{"reported_nl": 1e999}',
        b'{"reported_nl": NaN}',
        b'{"reported_nl": "much"}',
        b'{"midazolam_mg": 1' + b"0" * 400 + b"}",
        b'{"midazolam_mg": -Infinity}',
        b'{"midazolam_mg": []}',
        b"[]",
        b"\xff",
        b"[" * 4_000,
    ],
)
async def test_a_fact_that_is_none_is_counted_and_changes_nothing(line: bytes) -> None:
    patient = Lying()
    world = world_of(patient)
    world.hear(line + b"\n")
    assert (world.noise, patient.midazolam, patient.drug_ug) == (1, [], 0.0)


async def test_a_fact_reaches_the_patient_and_a_volume_never_shrinks() -> None:
    patient = Lying()
    world = world_of(patient)
    world.hear(b'{"midazolam_mg": 2.5}\n{"reported_nl": 1000000}\n{"reported_nl": 5}\n')
    world.start()
    await asyncio.sleep(0)
    world.stop()
    assert (world.noise, patient.midazolam, patient.drug_ug) == (0, [2.5], 10_000.0)
