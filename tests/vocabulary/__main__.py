"""Checks the words of sources and documents: `python -m tests.vocabulary`."""

import argparse
import sys

from tests.vocabulary import checker


def main() -> int:
    """Print what is wrong and return the exit status: 0 when nothing is."""
    parser = argparse.ArgumentParser(prog="python -m tests.vocabulary", description=__doc__)
    parser.add_argument("--update", action="store_true", help="lower the numbers of the backlog to what is found")
    parser.add_argument("--all", action="store_true", help="print every finding, those of the backlog included")
    given = parser.parse_args()
    found = checker.check_project(checker.load())
    backlog = checker.read_backlog()
    if given.all:
        print(*found, sep="\n")
        return 0
    if given.update and len(found) <= sum(backlog.values()):
        checker.BACKLOG.write_text(checker.render_backlog(found), encoding="utf-8")
        return 0
    wrong = checker.compare(found, backlog)
    print(*wrong, sep="\n", file=sys.stderr, end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
