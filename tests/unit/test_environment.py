"""The lock, environment.yaml and the pages about them agree, and setup.sh does no more than it may.

Nothing here reaches the network: setup.sh meets an environment that is ready, or tools that fail.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker

REPO = Path(__file__).resolve().parents[2]
CONDA_PYTHON = {"python_version": "3.12", "python_full_version": "3.12.0", "sys_platform": "linux"}


def requirements() -> list[str]:
    """Names in requirements.in."""
    lines = (REPO / "requirements.in").read_text().splitlines()
    return [re.match(r"[\w-]+", line).group() for line in lines if line and line[0] != "#"]


def lock_entries() -> list[str]:
    """Entries of requirements.lock, each with its hashes."""
    return re.split(r"\n(?=[a-z0-9])", (REPO / "requirements.lock").read_text().strip())


def locked_versions() -> dict[str, str]:
    """Versions that the lock gives to the Python of environment.yaml."""
    versions = {}
    for entry in lock_entries():
        name, version, marker = re.match(r"([\w-]+)==([^ ]+)(?: ; (.*))? \\\n", entry).groups()
        if marker is None or Marker(marker).evaluate(CONDA_PYTHON):
            versions[name] = version
    return versions


def conda() -> dict:
    """environment.yaml."""
    return yaml.safe_load((REPO / "environment.yaml").read_text())


def test_lock_names_no_host_and_has_hashes():
    text = (REPO / "requirements.lock").read_text()
    assert "://" not in text and "index-url" not in text and "find-links" not in text
    assert [e.split("\n")[0] for e in lock_entries() if "--hash=sha256:" not in e] == []


def test_requirements_are_locked():
    assert set(requirements()) <= set(locked_versions())


def test_every_requirement_has_its_reason():
    page = (REPO / "docs/decisions/0002-packages.md").read_text()
    rows = re.findall(r"^\| ([a-z0-9-]+) \|", page, re.M)
    assert sorted(rows) == sorted([*requirements(), "package"])


def test_environment_yaml_and_lock_pin_the_same_versions():
    (pip,) = [d["pip"] for d in conda()["dependencies"] if isinstance(d, dict)]
    stub, *pins = pip
    locked = locked_versions()
    assert pins == [f"{name}=={locked[name]}" for name in requirements()]
    project = tomllib.loads((REPO / stub / "pyproject.toml").read_text())["project"]
    headless = locked["opencv-python-headless"]
    assert project["version"] == headless
    assert project["dependencies"] == [f"opencv-python-headless=={headless}"]


def test_environment_yaml_is_conda_forge_and_named_as_the_makefile_expects():
    environment = conda()
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert f"python={CONDA_PYTHON['python_version']}" in environment["dependencies"]
    name = environment["name"]
    assert f"$(filter {name},$(CONDA_DEFAULT_ENV))" in (REPO / "Makefile").read_text()
    assert f'"${{CONDA_DEFAULT_ENV:-}}" != {name} ]' in (REPO / "tools/setup.sh").read_text()


@pytest.mark.parametrize("file", ["Makefile", "tools/setup.sh", ".ci/run", "environment.yaml"])
def test_no_host_in_what_installs(file):
    assert "://" not in (REPO / file).read_text()


def test_help_lists_every_target():
    makefile = (REPO / "Makefile").read_text()
    targets = re.findall(r"^([a-z][a-z-]*):", makefile, re.M)
    assert sorted(re.search(r"^\.PHONY: (.*)", makefile, re.M)[1].split()) == sorted(targets)
    if shutil.which("make") is None:
        pytest.skip("no make")
    out = subprocess.run(
        ["make", "--no-print-directory"], cwd=REPO, capture_output=True, text=True, check=True
    ).stdout
    listed = [target for target in targets if target != "known-scale"]  # a part of `studies`
    assert [line.split()[0] for line in out.splitlines()] == listed


# --- setup.sh ---------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["tools/setup.sh", ".ci/run"])
def test_scripts_parse(script):
    shell = "sh" if script.endswith(".sh") else "bash"
    subprocess.run([shell, "-n", str(REPO / script)], check=True)


class Checkout:
    """A copy of what setup.sh needs, for a user who is not root and lacks the system packages."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "tools").mkdir(parents=True)
        for name in ("requirements.lock", "environment.yaml", "tools/setup.sh"):
            shutil.copy(REPO / name, root / name)
        self.fake("id", "echo 1000")
        self.fake("pkg-config", "exit 1")
        for tool in ("sudo", "apt-get", "micromamba", "mamba", "conda"):
            self.fake(tool, f'echo "{tool} $*" >>"{root}/called"; exit 1')

    def fake(self, name: str, body: str, folder: str = "bin") -> None:
        """A program of that name in front of the real one."""
        path = self.root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def make_ready(self) -> None:
        """The stamp and the Python of an environment that setup.sh has finished."""
        self.fake("python", f'echo "python $*" >>"{self.root}/called"; exit 1', ".venv/bin")
        digest = hashlib.sha256()
        for name in ("requirements.lock", "environment.yaml", "tools/setup.sh"):
            digest.update((self.root / name).read_bytes())
        stamp = f"{digest.hexdigest()} {self.root / '.venv'}\n"
        (self.root / ".venv/setup-stamp").write_text(stamp)

    def setup(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run setup.sh, with this Python unless told otherwise."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("CONDA")}
        path = f"{self.root / 'bin'}:{os.environ['PATH']}"
        return subprocess.run(
            ["sh", str(self.root / "tools/setup.sh"), *args],
            env={**inherited, "PATH": path, "PYTHON": sys.executable, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def called(self) -> str:
        """What was called of the programs that must not be."""
        path = self.root / "called"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a folder")


def test_ordinary_user_gets_one_line_and_no_sudo(checkout):
    result = checkout.setup()
    assert result.returncode == 1 and result.stdout == "" and checkout.called() == ""
    (line,) = result.stderr.splitlines()
    assert "sudo apt-get install" in line and "make setup CONDA=micromamba" in line
    assert "libopencv-dev" in line and "libturbojpeg0-dev" in line
    assert not (checkout.root / ".venv").exists()


@pytest.mark.parametrize("python", ["false", "no-such-python"])
def test_no_suitable_python_is_one_line(checkout, python):
    result = checkout.setup(PYTHON=python)
    assert result.returncode == 1 and checkout.called() == ""
    (line,) = result.stderr.splitlines()
    assert "no Python 3.11, 3.12 or 3.13" in line and python in line


def test_missing_conda_is_one_line(checkout):
    result = checkout.setup("no-such-conda")
    assert result.returncode == 1
    assert result.stderr == "setup: no-such-conda: command not found\n"


def test_ready_environment_is_left_alone(checkout):
    checkout.make_ready()
    before = {p: p.stat().st_mtime_ns for p in checkout.root.rglob("*")}
    result = checkout.setup(PYTHON="")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert checkout.called() == ""
    assert {p: p.stat().st_mtime_ns for p in checkout.root.rglob("*")} == before


@pytest.mark.parametrize("change", ["lock", "environment", "script", "no python", "moved", "half"])
def test_changed_or_broken_environment_is_made_anew(checkout, change):
    checkout.make_ready()
    files = {"lock": "requirements.lock", "environment": "environment.yaml"}
    if change in files or change == "script":
        with (checkout.root / files.get(change, "tools/setup.sh")).open("a") as file:
            file.write("# changed\n")
    elif change == "no python":
        (checkout.root / ".venv/bin/python").unlink()
    elif change == "moved":
        checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    else:
        (checkout.root / ".venv/setup-stamp").unlink()
    result = checkout.setup()
    assert result.returncode == 1 and "sudo apt-get install" in result.stderr


@pytest.mark.parametrize("conda", [(), ("micromamba",)])
def test_environment_of_another_folder_behind_a_link_is_left_alone(checkout, tmp_path, conda):
    other = Checkout(tmp_path / "other")
    other.make_ready()
    (checkout.root / ".venv").symlink_to(other.root / ".venv")
    result = checkout.setup(*conda)
    (line,) = result.stderr.splitlines()
    assert result.returncode == 1 and ".venv is a link to" in line
    assert (other.root / ".venv/setup-stamp").exists() and checkout.called() == ""


def test_activated_conda_environment_is_the_one_that_counts(checkout, tmp_path):
    checkout.make_ready()
    other = tmp_path / "conda" / "ablation"
    shutil.copytree(checkout.root / ".venv", other)
    stamp = other / "setup-stamp"
    stamp.write_text(stamp.read_text().split()[0] + f" {other}\n")
    shutil.rmtree(checkout.root / ".venv")
    result = checkout.setup(PYTHON="", CONDA_DEFAULT_ENV="ablation", CONDA_PREFIX=str(other))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
