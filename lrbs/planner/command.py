"""The options of ``python -m lrbs plan``."""

from __future__ import annotations

import argparse
import json

from lrbs.planner.advice import plan
from lrbs.planner.request import BETAS, FAMILIES, FIXED, REDUCTIONS, UNITS

__all__ = ["planner_options", "print_plan"]


def planner_options(parser: argparse.ArgumentParser) -> None:
    """Add the options; their names are those of :func:`lrbs.plan`, with a few short forms."""
    parser.description = "What to do when the batch size of a run changes. See the chapter 'You have a run'."
    parser.epilog = (
        "Exit status 2 and the reason: input that is missing or impossible, no resolved noise scale."
    )
    run = parser.add_argument_group("the run that is")
    run.add_argument("--optimizer", "--optimiser", choices=FAMILIES, type=str.lower)
    run.add_argument(
        "--lr", "--learning-rate", dest="learning_rate", type=float, help="best rate at this batch"
    )
    run.add_argument("--batch", "--batch-size", dest="batch_size", type=float, help="all that one step sees")
    run.add_argument("--unit", choices=UNITS, help="what batches and noise scales count (sequences)")
    run.add_argument("--sequence-length", type=float, help="in tokens")
    run.add_argument("--reduction", choices=REDUCTIONS, default="mean", help="loss over a batch (mean)")
    run.add_argument("--beta1", "--momentum", dest="beta1", type=float)
    for name in ("beta2", "epsilon", "weight-decay", "warmup", "ema"):
        more = {"warmup": "in steps", "ema": "decay of an average of weights"}.get(name)
        run.add_argument(f"--{name}", type=float, help=more)
    run.add_argument("--parameters", type=float, help="size of a language model; with --tokens")
    run.add_argument("--tokens", type=float, help="that it is trained on")
    new = parser.add_argument_group("the run to come")
    new.add_argument("--to", type=float, nargs="+", required=True, help="batch sizes, larger or smaller")
    new.add_argument("--fixed", choices=FIXED, default="examples", help="what both runs share (examples)")
    new.add_argument("--betas", choices=BETAS, default="keep", help="how memories change (keep)")
    new.add_argument("--json", action="store_true", help="a list with an object for each batch size")
    noise = parser.add_argument_group("the noise scale, from one of")
    noise.add_argument("--noise-scale", type=float, help="B_simple, counted as batches are")
    noise.add_argument("--noise-scale-interval", type=float, nargs=2, metavar=("LOW", "HIGH"))
    noise.add_argument("--update-rms", type=float, nargs="+", help="Adam's, one number or one a step")
    noise.add_argument("--momentum-norms", type=float, nargs=2, metavar=("M", "G"), help="|m| and |g|")
    noise.add_argument("--log", help="JSON lines of the monitor; options not given are taken from it")


def print_plan(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Print the plan, or end with status 2 and the reason why there is none."""
    arguments = {name: value for name, value in vars(options).items() if name not in ("command", "json")}
    try:
        made = plan(**arguments)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(json.dumps(made.as_list(), indent=2) if options.json else made)
