"""The command line: python -m lrbs formulas [--json]."""

import json
import subprocess
import sys

import pytest

import lrbs
from lrbs.__main__ import main


def test_json_lists_every_equation(capsys):
    main(["formulas", "--json"])
    listed = json.loads(capsys.readouterr().out)
    assert [entry["id"] for entry in listed] == list(lrbs.formulas)
    for entry in listed:
        assert {"id", "function", "chapter", "check"} <= set(entry)
        assert all(isinstance(value, str) for value in entry.values())
        assert entry == lrbs.formulas[entry["id"]].as_dict()


def test_table_lists_every_equation(capsys):
    main(["formulas"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(lrbs.formulas)
    for line, entry in zip(lines, lrbs.formulas.values(), strict=True):
        assert line.split() == [entry.id, entry.function, entry.chapter, f"lrbs.checks.{entry.check}"]
    assert len({line.index("lrbs.checks.") for line in lines}) == 1  # in columns


def test_as_a_module():
    command = [sys.executable, "-W", "error", "-m", "lrbs", "formulas", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(json.loads(result.stdout)) == len(lrbs.formulas)
    assert result.stderr == ""


@pytest.mark.parametrize("arguments", [[], ["equations"], ["formulas", "--xml"]])
def test_wrong_commands_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: python -m lrbs" in capsys.readouterr().err
