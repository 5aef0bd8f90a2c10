"""Command line: ``formulas`` lists the book's equations, ``coursework`` releases and marks assignments."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from lrbs import formulas


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; `arguments` default to those of the process. Returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m lrbs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("formulas", help="list every equation: id, function, chapter, check")
    listing.add_argument("--json", action="store_true", help="as a JSON list of objects")
    if given[:1] != ["formulas"]:  # which need not load what marks
        from lrbs.coursework import command

        command.add(commands)
    options = parser.parse_args(given)
    if options.command == "coursework":
        return int(options.run(options, given))

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
