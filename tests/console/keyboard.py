"""A page by the keyboard alone: what Tab reaches, in which order, and whether one sees where the focus is."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Locator, Page, expect

_WATCH: Final = Path(__file__).with_name("focus.js").read_text("utf-8")
_OF_THE_MOUSE: Final = ("click", "dblclick", "mousedown", "mouseup", "pointerdown", "pointerup", "touchstart")
_PARTS: Final = 12
"""More than the parts of a field for a date and a time, each of which Tab stops at."""

_FARTHEST: Final = 200
"""How often Tab is pressed to come to an element."""


def walk(page: Page) -> list[str]:
    """Press Tab from the top of a page to its end, and Shift+Tab back, and return what is wrong.

    Every link, button, field, fold and scrolling region that is visible has to get the focus, in the order of the
    document, and nothing else. What has it must show it, be on the screen, and not be covered.
    """
    page.evaluate(_WATCH)
    begun = page.evaluate("focusWatch.begin()")
    names: Sequence[str] = begun["elements"]
    found = [*begun["faults"], *_for_the_mouse_alone(page)]
    there = range(len(names))
    for key, order in (("Tab", there), ("Shift+Tab", [*there[-2::-1]])):
        found += _pressed(page, key, order, names)
    return [f"{page.url}: {each}" for each in found]


def _pressed(page: Page, key: str, order: Sequence[int], names: Sequence[str]) -> Iterator[str]:
    before = order[0] - 1 if key == "Tab" and order else len(names) - 1
    for wanted in order:
        now: Any = {}
        for _ in range(_PARTS):
            page.keyboard.press(key)
            now = page.evaluate("focusWatch.now()")
            if now["at"] != before or not now["parts"]:
                break
        if now["at"] != wanted:
            yield f"{key}: the focus is on {now['name']} instead of {names[wanted]}"
            return
        if now["wrong"]:
            yield f"{key}: {now['wrong']}"
        before = wanted


def _for_the_mouse_alone(page: Page) -> list[str]:
    """Return the elements that scripts have the mouse act on, and that no key reaches."""
    session = page.context.new_cdp_session(page)
    document = session.send("Runtime.evaluate", {"expression": "document"})["result"]["objectId"]
    heard = session.send("DOMDebugger.getEventListeners", {"objectId": document, "depth": -1})["listeners"]
    nodes = {each["backendNodeId"] for each in heard if each["type"] in _OF_THE_MOUSE and "backendNodeId" in each}
    found = []
    for node in sorted(nodes):
        thing = session.send("DOM.resolveNode", {"backendNodeId": node})["object"]["objectId"]
        asked = {"functionDeclaration": "function () { return focusWatch.reached(this); }", "objectId": thing}
        found.append(session.send("Runtime.callFunctionOn", {**asked, "returnByValue": True})["result"]["value"])
    session.detach()
    return [each for each in found if each]


class Hands:
    """Somebody who has no mouse.

    Attributes:
        page: what is on the screen.
    """

    def __init__(self, page: Page) -> None:
        self.page = page

    def to(self, element: Locator, *, back: bool = False) -> None:
        """Press Tab until an element has the focus, or Shift+Tab."""
        expect(element).to_be_visible()
        for _ in range(_FARTHEST):
            if element.evaluate("(element) => element === document.activeElement"):
                return
            self.page.keyboard.press("Shift+Tab" if back else "Tab")
        raise AssertionError(f"Tab does not come to {element}")

    def press(self, *keys: str) -> None:
        """Press keys."""
        for key in keys:
            self.page.keyboard.press(key)

    def write(self, text: str) -> None:
        """Replace what is in the field with the focus."""
        self.press("Control+a", "Delete")
        self.page.keyboard.type(text)

    def fill(self, label: str, text: str) -> None:
        """Go to a field and write into it."""
        self.to(self.page.get_by_label(re.compile(rf"^{re.escape(label)}( \(optional\))?$")))
        self.write(text)

    def use(self, name: str, *, role: Any = "button", by: str = "Enter") -> None:
        """Go to a button or a link, and press a key there."""
        self.to(self.page.get_by_role(role, name=name, exact=True).first)
        self.press(by)

    def choose(self, label: str, option: str) -> None:
        """Go to a list of options, and type what one begins with."""
        self.to(self.page.get_by_label(label, exact=True))
        self.page.keyboard.type(option)

    def go_to(self, name: str) -> None:
        """Go to a page by the list of all pages, and wait until it is there."""
        self.press("Control+k")
        self.page.keyboard.type(name)
        self.press("Enter")
        expect(self.page.get_by_role("heading", level=1)).to_have_text(name)
