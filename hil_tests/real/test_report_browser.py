"""The report in a real browser: fits a telephone and a desk, shows one picture of each, prints on A4."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hil_tests.pure.controller.report_logs import FIRST_VISIT, SEAL, page

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
ASK = """<!DOCTYPE html><meta charset="utf-8"><iframe id="f" style="border:0;width:%dpx;height:900px"></iframe>
<pre id="said"></pre><script>
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
    return page([*FIRST_VISIT, SEAL])


def browser(*arguments: str, profile: Path) -> str:
    """What the browser wrote; it has a minute."""
    command = [CHROMIUM or "", *FLAGS, f"--user-data-dir={profile}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=True)
    return done.stdout


@pytest.mark.parametrize(("width", "picture"), [(390, "narrow"), (1400, "wide")])
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
