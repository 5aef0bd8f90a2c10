"""The planner: from a run that is to a run with another batch size, with a range, reasons and trials."""

from lrbs.planner.advice import Plan, plan
from lrbs.planner.target import Target

__all__ = ["Plan", "Target", "plan"]
