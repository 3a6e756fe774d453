"""Random and mutated bytes into every parser, host and device: ``python -m hil_tests.fuzz_parsers --bytes N``.

For each: bytes a second, errors (anything that is no protocol error), the most memory that one instance
came to hold, and whether two whole frames after noise are enough for the second to be understood.
Reproducible: one seed, one run.  Exit code 1 when anything was found.

Bench and simulation only.  Never a pump connected to a person.
"""

from __future__ import annotations

import argparse
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from time import perf_counter

from hil_tests.fuzz_corpora import Parser, Subject, subjects

BYTES = 10_000_000
TRIALS = 2_000
"""Of noise and two frames."""
FRESH_BYTES = 500_000
"""After so many an instance is replaced by a new one, which is not deaf or switched off yet."""
MEMORY_BYTES = 300_000
"""So many are fed with memory watched, which takes its time."""
MEMORY_MAX = 2_000_000
GAP_S = 0.6
"""A pause that ends what a parser waits for; the longest that any dialect's sheet names is 0.5 s."""
NOISE_MAX = 400
ERRORS_SHOWN = 3


@dataclass
class Outcome:
    """What became of one parser."""

    name: str
    bytes: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)
    error_count: int = 0
    peak_bytes: int = 0
    trials: int = 0
    deaf: int = 0
    """Trials in which the second frame was not understood, pause or no pause."""
    after_a_pause: int = 0
    """Those in which it took a pause."""

    @property
    def fine(self) -> bool:
        """Whether nothing was found."""
        return not self.error_count and not self.deaf and self.peak_bytes <= MEMORY_MAX

    def row(self) -> str:
        """A line of the table."""
        back = f"{self.trials - self.deaf}/{self.trials}" if self.trials else "-"
        return (
            f"{self.name:<28}{self.bytes:>12,}{self.bytes / self.seconds / 1e6:>10.2f}"
            f"{self.error_count:>8}{self.peak_bytes / 1e3:>11.0f}{back:>13}{self.after_a_pause:>8}"
        )


HEAD = f"{'parser':<28}{'bytes':>12}{'MB/s':>10}{'errors':>8}{'peak kB':>11}{'in step':>13}{'paused':>8}"


def fuzz(subject: Subject, count: int, seed: int, trials: int = TRIALS) -> Outcome:
    """So many bytes into one parser."""
    outcome = Outcome(subject.name)
    chance = Random(f"{seed}:{subject.name}")  # not a secret
    began = perf_counter()
    while outcome.bytes < count:
        _feed(subject, min(FRESH_BYTES, count - outcome.bytes), chance, outcome)
    outcome.seconds = perf_counter() - began
    _watch_memory(subject, min(MEMORY_BYTES, count), chance, outcome)
    if subject.probe[0]:
        for _ in range(trials):
            _trial(subject, chance, outcome)
    return outcome


def _feed(subject: Subject, count: int, chance: Random, outcome: Outcome) -> None:
    """One instance, and time that passes in between."""
    parser, now, fed = subject.make(), 1.0, 0
    for chunk in chunks(subject, chance):
        fed += len(chunk)
        outcome.bytes += len(chunk)
        now += chance.random() * 0.02
        try:
            parser.feed(chunk, now)
            if chance.random() < 0.02:
                now += chance.random() * 2.0
                parser.pause(now)
        except Exception as error:  # noqa: BLE001  # whatever it is, a parser must not raise it
            outcome.error_count += 1
            if len(outcome.errors) < ERRORS_SHOWN:
                outcome.errors.append(f"{type(error).__name__}: {error} on {chunk[:60]!r}")
            parser = subject.make()
        if fed >= count:
            return


def _watch_memory(subject: Subject, count: int, chance: Random, outcome: Outcome) -> None:
    """How much more one instance holds at most than when it was new; its corpus was made before."""
    fed = list(_up_to(subject, count, chance))
    parser = subject.make()
    parser.feed(b"", 0.5)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    now = 1.0
    for chunk in fed:
        now += 0.01
        try:
            parser.feed(chunk, now)
        except Exception:  # noqa: BLE001  # counted already, in the other run
            parser = subject.make()
    outcome.peak_bytes = max(0, tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.stop()


def _up_to(subject: Subject, count: int, chance: Random) -> Iterator[bytes]:
    fed = 0
    for chunk in chunks(subject, chance):
        yield chunk
        fed += len(chunk)
        if fed >= count:
            return


def _trial(subject: Subject, chance: Random, outcome: Outcome) -> None:
    """Noise, and then two frames: the second must be understood, at the latest after a pause."""
    frame, seen = subject.probe
    noise = bytes(int(chance.random() * 256) for _ in range(int(chance.random() * NOISE_MAX)))
    if chance.random() < 0.5:
        noise += frame[: int(chance.random() * len(frame))]
    outcome.trials += 1
    if _understood(subject.make(), noise, frame, seen, 0.0):
        return
    if _understood(subject.make(), noise, frame, seen, GAP_S):
        outcome.after_a_pause += 1
    else:
        outcome.deaf += 1
        if len(outcome.errors) < ERRORS_SHOWN:
            outcome.errors.append(f"not in step after {noise[-60:]!r}")


def _understood(parser: Parser, noise: bytes, frame: bytes, seen: bytes, gap_s: float) -> bool:
    now = 1.0
    parser.feed(noise, now)
    if gap_s:
        now += gap_s
        parser.pause(now)
    said = parser.feed(
        frame, now + 0.01
    )  # a duplicate of one that was understood may be passed over
    said += parser.feed(frame, now + 0.05)
    return seen in said + parser.pause(now + 1.0)


# -- what is fed --------------------------------------------------------------------------------------


def chunks(subject: Subject, chance: Random) -> Iterator[bytes]:
    """Without end: noise, whole frames, hurt frames, frames with any text in them, cut anywhere."""
    while True:
        stream = b"".join(_piece(subject, chance) for _ in range(16))
        while stream:
            size = 1 + int(chance.random() ** 3 * 96)
            yield stream[:size]
            stream = stream[size:]


def _piece(subject: Subject, chance: Random) -> bytes:
    kind = chance.random()
    if kind < 0.25:
        return chance.randbytes(1 + int(chance.random() * 60))
    text = subject.texts[int(chance.random() * len(subject.texts))]
    if kind < 0.4:
        return subject.reframe(chance, text)
    if kind < 0.7:
        return subject.reframe(chance, _hurt_text(text, chance))
    return _hurt(subject.reframe(chance, text), chance)


def _hurt(frame: bytes, chance: Random) -> bytes:
    """A frame with one to three bytes flipped, lost, doubled or added, or its end gone, or too long."""
    data = bytearray(frame)
    for _ in range(1 + int(chance.random() * 3)):
        if not data:
            break
        at = int(chance.random() * len(data))
        match int(chance.random() * 6):
            case 0:
                data[at] ^= 1 << int(chance.random() * 8)
            case 1:
                del data[at]
            case 2:
                data[at:at] = data[at : at + 1] * (1 + int(chance.random() * 4))
            case 3:
                data[at:at] = chance.randbytes(1)
            case 4:
                del data[at:]
            case _ if chance.random() < 0.02:
                data[at:at] = data[at : at + 1] * 3_000
            case _:
                data[at] = int(chance.random() * 256)
    return bytes(data)


_CHARACTERS = "0123456789.;:^|!?*-+ ABCDEFabcdefRPMHLUmlhs\t\\/\x00\x7f\xb5\xff"


def _hurt_text(text: str, chance: Random) -> str:
    letters = list(text)
    for _ in range(1 + int(chance.random() * 3)):
        at = int(chance.random() * (len(letters) + 1))
        letter = _CHARACTERS[int(chance.random() * len(_CHARACTERS))]
        match int(chance.random() * 4):
            case 0:
                letters[at:at] = letter
            case 1:
                del letters[at : at + 1]
            case 2:
                letters[at : at + 1] = letter
            case _:
                letters[at:at] = letter * int(chance.random() * 40)
    return "".join(letters)


def main(words: Sequence[str] | None = None) -> int:
    """The table, a line for each parser as it is done."""
    parser = argparse.ArgumentParser(prog="python -m hil_tests.fuzz_parsers", description=__doc__)
    parser.add_argument("--bytes", type=int, default=BYTES, metavar="N", help="into each parser")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--only", metavar="TEXT", default="", help="parsers with this in their name"
    )
    arguments = parser.parse_args(words)
    sys.stdout.write(f"{HEAD}\n")
    fine = True
    for subject in subjects():
        if arguments.only not in subject.name:
            continue
        outcome = fuzz(subject, arguments.bytes, arguments.seed)
        fine = fine and outcome.fine
        sys.stdout.write("\n".join((outcome.row(), *(f"    {e}" for e in outcome.errors), "")))
        sys.stdout.flush()
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
