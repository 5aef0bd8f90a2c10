"""An assignment: its questions, and numbers of each student's own.

Numbers are drawn from a digest of assignment and student, and drawn again until the task is a fair one:
nobody gets numbers at which a known slip gives nearly the right answer.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from lrbs.coursework.question import Parameters, Question

__all__ = ["Assignment", "load"]

MODULES = {
    "1-one-step": "one_step",
    "2-mean-field": "mean_field",
    "3-muon": "muon",
    "4-momentum-and-adam": "momentum",
    "5-project": "project",
}
PRACTICE = "practice"  # the key of the student's own checks, which is no secret
ATTEMPTS = 1000


def student_name(text: str) -> str:
    """One spelling of an id: no capitals, no spaces around.

    Raises
    ------
    ValueError
        If there is none, or it is still the placeholder.
    """
    name = " ".join(str(text).split()).lower()
    if not name or name in ("your id", "your-id"):
        raise ValueError('STUDENT must be your id, as your teacher has it: STUDENT = "ab123"')
    return name


def generator(*parts: str) -> np.random.Generator:
    """Random numbers that depend on these texts alone."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest))


@dataclass(frozen=True)
class Assignment:
    """Questions, and the numbers that they are about.

    Attributes
    ----------
    name : str
        Of the master, without its suffix.
    title : str
    minutes : int
    questions : sequence of Question
    draw : callable
        Numbers of one student from a generator, as a mapping; None where they will not do.
    """

    name: str
    title: str
    minutes: int
    questions: Sequence[Question]
    draw: Callable[[np.random.Generator], Mapping[str, Any] | None]

    @property
    def points(self) -> float:
        """What all questions are worth together."""
        return sum(question.points for question in self.questions)

    def question(self, name: str) -> Question:
        """The question of that name.

        Parameters
        ----------
        name : str

        Returns
        -------
        Question

        Raises
        ------
        ValueError
            If there is none; it lists those that there are.
        """
        for question in self.questions:
            if question.name == name:
                return question
        names = ", ".join(question.name for question in self.questions)
        raise ValueError(f"{self.name} has no question {name!r}; it has {names}")

    def parameters(self, student: str) -> Parameters:
        """The numbers of a student: the same on every machine, for every spelling of the id.

        Parameters
        ----------
        student : str

        Returns
        -------
        SimpleNamespace

        Raises
        ------
        ValueError
            If the id is missing.
        RuntimeError
            If `draw` makes no fair numbers in a thousand attempts.
        """
        for attempt in range(ATTEMPTS):
            drawn = self.draw(generator(self.name, student_name(student), str(attempt)))
            if drawn is not None:
                parameters = SimpleNamespace(**drawn, student=student_name(student))
                variables = (q for q in self.questions if q.inputs is None)
                if all(question.distinct(parameters) for question in variables):
                    return parameters
        raise RuntimeError(f"{self.name}: no fair numbers for {student!r} in {ATTEMPTS} attempts")

    def inputs_rng(self, question: Question, key: str) -> np.random.Generator:
        """Random numbers for the inputs of a function.

        Parameters
        ----------
        question : Question
        key : str
            The teacher's.

        Returns
        -------
        numpy.random.Generator
        """
        return generator(self.name, question.name, key)


@lru_cache
def load(name: str, masters: str = "") -> Assignment:
    """An assignment by its name.

    Parameters
    ----------
    name : str
        ``1-one-step``, say.
    masters : str, optional
        A folder of one's own masters. ``1-one-step.py`` there, with an `ASSIGNMENT`, goes before that
        of lrbs.

    Raises
    ------
    ValueError
        If there is no such assignment.
    """
    if masters and (path := Path(masters, f"{name}.py")).is_file():
        spec = importlib.util.spec_from_file_location(f"lrbs_private_{name.replace('-', '_')}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found: Assignment = module.ASSIGNMENT
        return found
    if name not in MODULES:
        raise ValueError(f"there is no assignment {name!r}; there are {', '.join(MODULES)}")
    return import_module(f"lrbs.coursework.{MODULES[name]}").ASSIGNMENT


def is_private(name: str, masters: str) -> bool:
    """Whether the questions are a teacher's own."""
    return bool(masters) and Path(masters, f"{name}.py").is_file()
