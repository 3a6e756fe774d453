"""How accurate a pump was, from any recording of what it delivered: mean error, trumpet, start-up.

FILE is a table with a header: a time column (t_s, t_min or t_h) and one of mass_g, mass_mg, volume_ml,
volume_ul (collected since the start) or flow_ml_h (the mean since the sample before).  Other names are
mapped by --columns.  A line that begins with # is a comment.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from controller.bench.corrections import (
    HUMIDITY_PCT,
    PRESSURE_HPA,
    TEMPERATURE_C,
    WATER_G_ML,
    Correction,
    z_factor_ml_g,
)
from controller.bench.flow import (
    PERIOD_MIN,
    RESOLUTION_MAX_PCT,
    WINDOWS_MIN,
    Analysis,
    AnalysisError,
    Question,
    analyse,
    volumes_ml,
)
from controller.bench.picture import PictureUnavailable, draw
from controller.bench.recording import Floats, RecordingError, read
from controller.bench.words import as_json, as_text, series
from controller.cli.numbers import number
from controller.cli.outcome import DONE, ENDED_BADLY, Usage
from firmware_bridge.notice import NOTICE

WINDOWS_MAX = 50
DENSITY = (0.5, 2.0)
"""In g/mL: what is pumped is watery."""
ZEROS = frozenset({"0", "0.0", "0.00"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command; numbers stay text here, so that every complaint is ours."""
    parser.add_argument("file", type=Path, metavar="FILE.csv", help="the recording")
    parser.add_argument("--rate-ml-h", required=True, metavar="R", help="what the pump was set to")
    _mass(parser)
    _period(parser)
    _table(parser)
    parser.add_argument(
        "--mean-limit-pct", metavar="E", help="exit 1 when the mean error is beyond -E..+E percent"
    )
    parser.add_argument("--png", type=Path, metavar="OUT", help="draw start-up and trumpet")
    parser.add_argument(
        "--series", type=Path, metavar="OUT", help="write t_s,mass_g,volume_ml,flow_ml_h, corrected"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def _mass(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("from mass to volume")
    group.add_argument(
        "--density-g-ml", metavar="D", help=f"of the fluid (default {WATER_G_ML}: water at 20 C)"
    )
    group.add_argument(
        "--temperature-c", metavar="T", help="of water: density and buoyancy (Z) instead"
    )
    group.add_argument("--pressure-hpa", metavar="P", help="of the air, for Z (default 1013.25)")
    group.add_argument("--humidity-pct", metavar="H", help="of the air, for Z (default 50)")
    group.add_argument("--evaporation-g-h", metavar="E", help="from a blank run (default 0)")
    group.add_argument(
        "--resolution-g", metavar="Q", help="step of the balance (default: that of the digits)"
    )
    group.add_argument(
        "--resolution-max-pct",
        metavar="X",
        help=f"refuse windows in which that step alone makes more (default {RESOLUTION_MAX_PCT:g})",
    )


def _period(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is analysed")
    group.add_argument("--from-min", metavar="M", help=f"default {PERIOD_MIN[0]:g}")
    group.add_argument("--to-min", metavar="M", help=f"default {PERIOD_MIN[1]:g}")
    usual = ",".join(f"{minutes:g}" for minutes in WINDOWS_MIN)
    group.add_argument(
        "--windows", metavar="P,P,...", help=f"minutes (default {usual}); 'none' for no windows"
    )


def _table(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the file")
    group.add_argument(
        "--columns", metavar='"OURS=THEIRS,..."', help='such as "t_s=Elapsed,volume_ml=Vol"'
    )
    group.add_argument("--delimiter", default=",", metavar="C", help="between cells (default ,)")
    group.add_argument("--decimal", default=".", metavar="C", help="before decimals (default .)")


def run(arguments: argparse.Namespace) -> int:
    """Read, analyse, tell.  Exit codes: 0; 1 beyond the limit given; 2 for what cannot be analysed."""
    question = _question(arguments)
    limit = _asked(arguments, "--mean-limit-pct")
    try:
        recording = read(
            arguments.file,
            columns=_columns(arguments.columns),
            delimiter=_letter("--delimiter", arguments.delimiter),
            decimal=_letter("--decimal", arguments.decimal),
        )
        analysis = analyse(recording, question)
    except RecordingError as error:
        raise Usage(str(error)) from error
    except AnalysisError as error:
        raise Usage(f"{arguments.file}: {error}") from error
    if arguments.windows is not None and analysis.refused:
        first = analysis.refused[0]
        raise Usage(f"--windows {first.minutes:g}: {first.why}")
    volume = volumes_ml(recording, question.correction)
    if arguments.series is not None:
        _written("--series", arguments.series, series(recording, volume))
    if arguments.png is not None:
        _draw(arguments, analysis, recording.t_s, volume)
    _tell(arguments, analysis)
    return ENDED_BADLY if limit is not None and abs(analysis.mean_error_pct) > limit else DONE


def _tell(arguments: argparse.Namespace, analysis: Analysis) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps(as_json(analysis)) + "\n")
    else:
        sys.stdout.write(as_text(analysis, arguments.file.name))
    sys.stderr.write(f"{NOTICE}\n")


def _written(option: str, path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Usage(f"{option} {path}: {error.strerror or error}") from error


def _draw(
    arguments: argparse.Namespace, analysis: Analysis, t_s: Floats, volume_ml: Floats
) -> None:
    try:
        draw(analysis, t_s, volume_ml, arguments.png, arguments.file.name)
    except PictureUnavailable as error:
        raise Usage(f"--png: {error}") from error
    except OSError as error:
        raise Usage(f"--png {arguments.png}: {error.strerror or error}") from error


# --- what was asked ---------------------------------------------------------------------------------


def _question(arguments: argparse.Namespace) -> Question:
    start = _given(arguments, "--from-min", PERIOD_MIN[0])
    end = _given(arguments, "--to-min", PERIOD_MIN[1])
    if not start < end:
        raise Usage(f"--to-min {end:g}: must be above --from-min {start:g}")
    return Question(
        rate_ml_h=float(number("--rate-ml-h", arguments.rate_ml_h, decimals=4)),
        from_min=start,
        to_min=end,
        windows_min=_windows(arguments.windows),
        correction=_correction(arguments),
        resolution=_asked(arguments, "--resolution-g"),
        resolution_max_pct=_given(arguments, "--resolution-max-pct", RESOLUTION_MAX_PCT),
    )


def _correction(arguments: argparse.Namespace) -> Correction:
    evaporation = _given(arguments, "--evaporation-g-h", 0.0)
    temperature = _asked(arguments, "--temperature-c", TEMPERATURE_C)
    if temperature is None:
        for option in ("--pressure-hpa", "--humidity-pct"):
            if getattr(arguments, _name(option)) is not None:
                raise Usage(f"{option}: only together with --temperature-c")
        return Correction(
            1.0 / _given(arguments, "--density-g-ml", WATER_G_ML, DENSITY), evaporation
        )
    if arguments.density_g_ml is not None:
        raise Usage("--density-g-ml and --temperature-c: one of the two")
    z_ml_g = z_factor_ml_g(
        temperature,
        pressure_hpa=_given(arguments, "--pressure-hpa", 1013.25, PRESSURE_HPA),
        humidity_pct=_given(arguments, "--humidity-pct", 50.0, HUMIDITY_PCT),
    )
    return Correction(z_ml_g, evaporation)


def _windows(text: str | None) -> tuple[float, ...]:
    if text is None:
        return WINDOWS_MIN
    if text == "none":
        return ()
    parts = text.split(",")
    if len(parts) > WINDOWS_MAX:
        raise Usage(f"--windows: {len(parts)} of them; at most {WINDOWS_MAX}")
    return tuple(float(number("--windows", part.strip(), decimals=3)) for part in parts)


def _columns(text: str | None) -> dict[str, str]:
    columns: dict[str, str] = {}
    for part in text.split(",") if text else ():
        ours, equals, theirs = (piece.strip() for piece in part.partition("="))
        if not equals or not ours or not theirs:
            raise Usage(f"--columns {part!r}: must be OURS=THEIRS, as in t_s=Elapsed")
        columns[ours] = theirs
    return columns


def _letter(option: str, text: str) -> str:
    letter = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(letter) != 1 or letter.isalnum() or letter in "+-\"'#\r\n":
        raise Usage(f"{option} {text!r}: must be one sign, such as , or ; or tab")
    return letter


def _name(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _asked(
    arguments: argparse.Namespace, option: str, limits: tuple[float, float] | None = None
) -> float | None:
    """The number of an option, which may be 0 unless ``limits`` say otherwise."""
    text: str | None = getattr(arguments, _name(option))
    if text is None:
        return None
    value = 0.0 if text in ZEROS else float(number(option, text, decimals=6))
    if limits is not None and not limits[0] <= value <= limits[1]:
        raise Usage(f"{option} {text}: must be {limits[0]:g} to {limits[1]:g}")
    return value


def _given(
    arguments: argparse.Namespace,
    option: str,
    default: float,
    limits: tuple[float, float] | None = None,
) -> float:
    value = _asked(arguments, option, limits)
    return default if value is None else value
