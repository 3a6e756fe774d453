"""The example project, in an environment of its own: pytest, pyserial and pytest-infusor, and nothing of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from hil_tests.real.isolated_infusor import REPOSITORY, wrapped

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

EXAMPLE = REPOSITORY / "examples" / "driver-tests"
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PYTEST", "COV_")) and name not in ("PYTHONPATH", "VIRTUAL_ENV")
}
TESTS = 7


def run(*words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Away from this repository: a folder of ours in the way would be found by its name."""
    return subprocess.run(
        [str(word) for word in words],
        cwd="/",
        env=CLEAN | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


class Environment:
    """An empty environment, made by uv where there is one, else by venv."""

    def __init__(self, folder: Path) -> None:
        uv = shutil.which("uv")
        self.python = folder / "bin" / "python"
        if uv is not None:
            made = run(uv, "venv", "--quiet", "--python", sys.executable, folder)
            self._install = [uv, "pip", "install", "--quiet", "--python", str(self.python)]
        else:
            made = run(sys.executable, "-m", "venv", folder)
            pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            self._install = [str(self.python), *pip]
        assert made.returncode == 0, made.stderr

    def install(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return run(*self._install, *words)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """With what a stranger would install; skipped where no package index can be reached."""
    made = Environment(tmp_path / "environment")
    wanted = [f"{name}=={version(name)}" for name in ("pytest", "pyserial")]
    installed = made.install(*wanted)
    if installed.returncode != 0:
        said = " ".join(installed.stderr.split())[-200:]
        pytest.skip(f"no package index to install {' '.join(wanted)} from: {said}")
    wheels = tmp_path / "wheels"
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)],
        cwd=shutil.copytree(REPOSITORY / "pytest-infusor", tmp_path / "pytest-infusor"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = wheels.glob("pytest_infusor-*-py3-none-any.whl")
    installed = made.install("--no-deps", "--no-index", wheel)
    assert installed.returncode == 0, installed.stderr
    return made


def test_somebody_else_s_driver_is_tested_without_an_environment_in_common(
    environment: Environment, tmp_path: Path
) -> None:
    project = shutil.copytree(EXAMPLE, tmp_path / "project")
    alone = run(
        environment.python,
        "-c",
        "import importlib.util as u; print([n for n in "
        "('sim', 'controller', 'firmware_bridge', 'numpy', 'msgspec') if u.find_spec(n)])",
    )
    assert alone.stdout == "[]\n", alone
    suite = run(
        environment.python,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", project, project),
        INFUSOR=str(wrapped(tmp_path)),
    )
    assert suite.returncode == 0, suite.stdout + suite.stderr
    assert f"{TESTS} passed" in suite.stdout
    told = run(environment.python, "-m", "pytest", "--fixtures", project / "test_tiny_pump.py")
    assert "is a running simulated pump" in told.stdout
