"""Command line: ``plan`` a new batch size, list the book's ``formulas``, hand out and mark ``coursework``."""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from lrbs import formulas
from lrbs.planner.command import planner_options, print_plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; `arguments` default to those of the process. Returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m lrbs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("formulas", help="list every equation: id, function, chapter, check")
    listing.add_argument("--json", action="store_true", help="as a JSON list of objects")
    planning = commands.add_parser("plan", help="a run with another batch size: rates to try, and the rest")
    planner_options(planning)
    if given[:1] not in (["formulas"], ["plan"]):  # which need nothing of what marks
        from lrbs.coursework import command

        command.add(commands)
    options = parser.parse_args(given)
    if options.command == "coursework":
        return int(options.run(options, given))
    if options.command == "plan":
        print_plan(planning, options)
        return 0

    entries = [entry.as_dict() for entry in formulas.values()]
    if options.json:
        print(json.dumps(entries, indent=2, ensure_ascii=False))
        return 0
    columns = ("id", "function", "chapter", "check")
    widths = [max(len(entry[column]) for entry in entries) for column in columns]
    for entry in entries:
        print("  ".join(entry[column].ljust(width) for column, width in zip(columns, widths, strict=True)))
    return 0


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as in "| head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    else:
        sys.exit(status)
