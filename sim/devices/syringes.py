"""The table of syringes that can be put into a simulated pump, from ``sim/data/syringes.toml``."""

from __future__ import annotations

from pathlib import Path

from sim.mechanics import Mount

TABLE = Path(__file__).parent.parent / "data" / "syringes.toml"


class SyringeError(ValueError):
    """No such syringe; the message names those there are."""


def mount(name: str, *, loaded_ml: float | None = None) -> Mount:
    """The syringe of this name, full unless ``loaded_ml`` says otherwise.  Raises `SyringeError`.

    Names are those of the table, however spelt: ``bd-10``, ``BD 10``, ``BD 10 mL``.
    """
    import tomllib  # noqa: PLC0415  # a pump without a named syringe starts without it

    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    key = "-".join(name.lower().strip().removesuffix("ml").split())
    row = table.get(key)
    if row is None:
        raise SyringeError(f"syringe {name!r} does not exist; there are {', '.join(table)}")
    capacity_ml = row["capacity_ml"]
    if loaded_ml is not None and not 0 <= loaded_ml <= capacity_ml:
        raise SyringeError(f"syringe {name!r} cannot hold {loaded_ml:g} mL; it is 0..{capacity_ml}")
    content_ml = capacity_ml if loaded_ml is None else loaded_ml
    return Mount(
        diameter_um=round(row["diameter_mm"] * 1_000),
        capacity_nl=round(capacity_ml * 1_000_000),
        loaded_nl=round(content_ml * 1_000_000),
    )
