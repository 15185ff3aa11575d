"""Takes pictures of every page of the console, to be looked at: `python -m tests.console.screenshots DIRECTORY`.

Each state of tests.console.states is opened on a telephone, a laptop and a wide screen, in both themes and both
languages. The servers and what is in them are made for the run. A page whose answer has another status than its state
says is named at the end, and the exit code is 1 then.
"""

import argparse
import re
import sys
from itertools import product
from pathlib import Path
from typing import Final

from tests.console.conftest import opened_browser
from tests.console.scenes import Scenes
from tests.console.states import ALL, shown

WIDTHS: Final = (390, 1280, 1920)
THEMES: Final = ("light", "dark")
LANGUAGES: Final = {"en": "en-US", "zh": "zh-CN"}
HEIGHTS: Final = {390: 844, 1280: 800, 1920: 1080}
_OPEN: Final = "dialog:modal, [popover]:popover-open"


def main() -> int:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="where the pictures are written")
    only = "a regular expression of the names: paths below /console/, or state-… for what needs more than an address"
    parser.add_argument("--only", default="", help=only)
    parser.add_argument("--widths", type=int, nargs="*", default=WIDTHS, choices=WIDTHS)
    parser.add_argument("--themes", nargs="*", default=THEMES, choices=THEMES)
    parser.add_argument("--languages", nargs="*", default=list(LANGUAGES), choices=list(LANGUAGES))
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    states = [state for state in ALL if re.search(arguments.only, state.name)]
    wrong: set[str] = set()
    with opened_browser() as browser, Scenes(browser) as scenes:
        for width, theme, language in product(arguments.widths, arguments.themes, arguments.languages):
            options = {"viewport": {"width": width, "height": HEIGHTS[width]}, "color_scheme": theme}
            for state, page, fault in shown(scenes, states, **options, locale=LANGUAGES[language]):
                wrong |= {fault} if fault else set()
                name = re.sub(r"[^\w.-]+", "_", state.name).strip("_")
                path = arguments.directory / f"{name}-{width}-{theme}-{language}.png"
                page.evaluate("scrollTo(0, 0)")  # else the head is in the middle, where a field has the focus
                # What a menu or a dialog darkens is the screen, not the whole page.
                page.screenshot(path=path, full_page=not page.locator(_OPEN).count())
    print("\n".join(sorted(wrong)) or f"{len(states)} states, all of them answered")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
