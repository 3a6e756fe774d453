"""The report in a real browser: fits a telephone and a desk, nothing over anything else, prints on A4."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hil_tests.pure.controller.report_logs import FIRST_VISIT, SEAL, Entry, alarm, page

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
ASK = """<!DOCTYPE html><meta charset="utf-8"><iframe id="f" style="border:0;width:%dpx;height:900px"></iframe>
<pre id="said"></pre><script>
const touching = (svg) => {
  const found = [], texts = [...svg.querySelectorAll("text")].map((e) => [e, e.getBoundingClientRect()]);
  texts.forEach(([one, a], index) => texts.slice(index + 1).forEach(([other, b]) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 4) found.push(one.textContent + " / " + other.textContent);
  }));
  return found;
};
const frame = document.getElementById("f");
frame.onload = () => {
  const page = frame.contentDocument, width = page.documentElement.clientWidth;
  const seen = (e) => e.getClientRects().length > 0;
  const beyond = [...page.querySelectorAll("main *")].filter(
    (e) => !e.closest("svg") && seen(e) && e.getBoundingClientRect().right > width + 1);
  const texts = [...page.querySelectorAll("svg text")].filter(seen);
  document.getElementById("said").textContent = JSON.stringify({
    width, scroll: page.documentElement.scrollWidth,
    beyond: beyond.map((e) => e.tagName + "." + e.className),
    pictures: [...page.querySelectorAll("svg")].filter(seen).map((e) => e.getAttribute("class")),
    touching: [...page.querySelectorAll("svg")].filter(seen).flatMap((svg) => touching(svg)),
    clipped: texts.filter((e) => {
      const at = e.getBoundingClientRect();
      return at.left < 0 || at.right > width;
    }).map((e) => e.textContent),
    smallest_px: Math.min(...texts.map((e) =>
      parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a)),
  });
};
frame.srcdoc = %s;
</script>"""

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: the report is not looked at"),
]


@pytest.fixture(scope="module")
def report() -> str:
    """A visit with alarms at the same time, holds, and rates far apart."""
    held: list[Entry] = []
    for at_s in range(800, 4_000, 160):
        held.append((float(at_s), "state", {"to": "holding", "from": "infusing"}))
        held.append((at_s + 80.0, "state", {"to": "infusing", "from": "holding"}))
        held.append((at_s + 1.0, "sample", {"rate_ml_h": 0.0, "delivered_ml": 1.0}))
        held += [
            (at_s + 80.0 + t, "sample", {"rate_ml_h": 3.333, "delivered_ml": 1.0})
            for t in range(0, 80, 8)
        ]
    for number, priority in enumerate(("high", "medium", "low", "high", "low", "high")):
        about = {"alarm": f"a{number}", "priority": priority, "text": f"alarm {number} " * 9}
        held.append(alarm(850.0 + 200 * number, active=True, **about))
        held.append(alarm(2_300.0 + 300 * number, active=False, **about))
    return page(sorted([*FIRST_VISIT, *held, SEAL], key=lambda entry: entry[0]))


def browser(*arguments: str, profile: Path) -> str:
    """What the browser wrote; it has a minute."""
    command = [CHROMIUM or "", *FLAGS, f"--user-data-dir={profile}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("width", "picture"), [(390, "narrow"), (740, "narrow"), (1000, "wide"), (1400, "wide")]
)
def test_the_page_fits_its_window_with_letters_that_can_be_read(
    width: int, picture: str, report: str, tmp_path: Path
) -> None:
    asking = tmp_path / "asking.html"
    text = json.dumps(report).replace("</", "<\\/")
    asking.write_text(ASK % (width, text), encoding="utf-8")
    shown = browser(
        "--virtual-time-budget=5000", "--dump-dom", asking.as_uri(), profile=tmp_path / "profile"
    )
    found = re.search(r'<pre id="said">([^<]+)</pre>', shown)
    assert found, "the page never loaded"
    said = json.loads(html.unescape(found[1]))
    assert said["scroll"] <= said["width"] <= width
    assert said["beyond"] == []
    assert said["touching"] == []
    assert said["clipped"] == []
    assert said["pictures"] == [f"plot {picture}"] * 3
    assert said["smallest_px"] >= 9.5


def test_the_page_prints_on_a4_and_not_on_a_dozen_sheets(report: str, tmp_path: Path) -> None:
    source, target = tmp_path / "report.html", tmp_path / "report.pdf"
    source.write_text(report, encoding="utf-8")
    browser(f"--print-to-pdf={target}", source.as_uri(), profile=tmp_path / "profile")
    pdf = target.read_bytes()
    boxes = re.findall(rb"/MediaBox \[\s*0 0 ([\d.]+) ([\d.]+)", pdf)
    assert 3 <= len(boxes) <= 7
    assert {(round(float(w)), round(float(h))) for w, h in boxes} <= {
        (595, 842),
        (596, 842),
        (594, 841),
    }
