"""Workflows for a public host: what they may say and do, and that nobody can change what they run."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return found


def test_there_are_workflows() -> None:
    assert {path.stem for path in FILES} == {"release", "site", "tests", "weekly"}


def test_the_host_understands_them() -> None:
    schema = "vendor.github-workflows"
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *FILES]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@each
def test_actions_are_pinned_by_hash_and_named_by_version(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


@each
def test_a_workflow_may_read_and_a_job_no_more_than_it_needs(path: Path) -> None:
    text = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert text["permissions"] == {"contents": "read"}
    granted = {name: job["permissions"] for name, job in jobs(path).items() if "permissions" in job}
    assert granted in (
        {},
        {"publish": {"pages": "write", "id-token": "write"}},
        {"publish": {"id-token": "write"}},
    )


@each
def test_no_text_from_outside_is_run(path: Path) -> None:
    for job in jobs(path).values():
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


@each
def test_targets_of_make_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"run: make (\w+)", path.read_text(encoding="utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_oldest_numerics_are_those_of_the_package() -> None:
    promised = re.findall(r"(numpy|scipy)>=([\d.]+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    oldest = jobs(ROOT / ".github/workflows/tests.yml")["package"]["strategy"]["matrix"]["include"][0]
    assert oldest["numerics"] == " ".join(f"{name}=={version}.*" for name, version in promised[:2])
    assert f'requires-python = ">={oldest["python"]}"' in (ROOT / "pyproject.toml").read_text(
        encoding="utf-8"
    )
