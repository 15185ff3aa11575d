// Watches where the focus is, for tests/console/keyboard.py.
globalThis.focusWatch = (() => {
  const INTERACTIVE = "a[href], area[href], button, input, select, textarea, summary, [tabindex], [contenteditable], iframe";
  const ROLES = "[role=button], [role=link], [role=checkbox], [role=tab], [role=menuitem], [role=option], [onclick]";
  const STYLES = ["outlineStyle", "outlineWidth", "outlineColor", "outlineOffset", "boxShadow"];
  const visible = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest("[inert]");
  const native = (element) => element.matches("a[href], area[href], button, input, select, textarea, summary");
  const inGrid = (element) => element.closest("[data-grid]") !== null;
  const enabled = (element) => !element.matches(":disabled, input[type=hidden]");
  const scrolls = (element) => {
    const style = getComputedStyle(element);
    return (/auto|scroll/.test(style.overflowX) && element.scrollWidth > element.clientWidth + 1) ||
      (/auto|scroll/.test(style.overflowY) && element.scrollHeight > element.clientHeight + 1);
  };
  const holdsFocus = (element) =>
    [...element.querySelectorAll(INTERACTIVE)].some((each) => visible(each) && enabled(each) && each.tabIndex >= 0);
  const named = (element) => {
    if (!element || element === document.body) return "the page itself";
    const text = element.getAttribute("aria-label") || element.name || element.textContent || "";
    return `<${element.localName}${element.id ? ` #${element.id}` : ""}> ${text.trim().replace(/\s+/g, " ").slice(0, 40)}`;
  };
  const looks = (element) => {
    const style = getComputedStyle(element);
    return STYLES.map((name) => style[name]);
  };

  const root = () => document.querySelector("dialog:modal, [popover]:popover-open") ?? document.body;

  // The elements that Tab has to reach, in the order of the document: in a menu or a dialog where one is open.
  // Of a grid, where arrow keys move, that is one element.
  const expected = () => {
    const found = [...root().querySelectorAll(INTERACTIVE)].filter(
      (element) => visible(element) && enabled(element) && (element.tabIndex >= 0 || (native(element) && !inGrid(element))),
    );
    return found.filter((element) => element.type !== "radio" || element === stopOf(element));
  };
  const stopOf = (radio) => {
    const group = [...document.querySelectorAll("input[type=radio]")].filter((each) => each.name === radio.name && each.form === radio.form);
    return group.find((each) => each.checked) ?? group[0];
  };

  // What is wrong with a page before a key is pressed.
  const faults = () => {
    const found = [];
    for (const element of document.body.querySelectorAll("*")) {
      if (!visible(element)) continue;
      if (native(element) && enabled(element) && element.tabIndex < 0 && !inGrid(element)) found.push(`${named(element)} is left out by tabindex`);
      if (element.tabIndex > 0) found.push(`${named(element)} has an order of its own`);
      if (element.matches(ROLES) && element.tabIndex < 0) found.push(`${named(element)} is for the mouse alone`);
      if (scrolls(element) && element.tabIndex !== 0 && !holdsFocus(element)) found.push(`${named(element)} scrolls and has no tabindex`);
    }
    return found;
  };

  // The part of a focused element that has to be seen: a control as a whole, of a region what is on the screen.
  const covered = (element) => {
    const all = [...element.getClientRects()].filter((each) => each.width > 0 && each.height > 0);
    if (!all.length) return "has no size";
    const box = all[0];
    const left = Math.max(box.left, 0), right = Math.min(box.right, innerWidth);
    const top = Math.max(box.top, 0), bottom = Math.min(box.bottom, innerHeight);
    if (right - left < Math.min(box.width, 4) || bottom - top < Math.min(box.height, 4)) return "is not scrolled into view";
    const region = !native(element);
    const tall = region || box.height > innerHeight / 2, broad = region || box.width > innerWidth / 2;
    if (!tall && (box.top < -1 || box.bottom > innerHeight + 1)) return "is only partly in view";
    if (!broad && (box.left < -1 || box.right > innerWidth + 1)) return "is only partly in view";
    const middle = [(left + right) / 2, (top + bottom) / 2];
    const points = [middle];
    if (!tall) points.push([middle[0], top + 2], [middle[0], bottom - 2]);
    if (!tall && !broad) points.push([left + 2, middle[1]], [right - 2, middle[1]]);
    const over = points.map(([x, y]) => document.elementFromPoint(x, y)).find((hit) => !element.contains(hit));
    return over === undefined ? "" : `is covered by ${named(over)}`;
  };

  // Whether the outline of a focused element is cut off by what surrounds it, on more than one side.
  const cut = (element) => {
    const style = getComputedStyle(element);
    const reach = parseFloat(style.outlineOffset) + parseFloat(style.outlineWidth);
    const box = element.getClientRects()[0];
    if (!box || !(reach > 0)) return "";
    const sides = new Set();
    for (let around = element.parentElement; around && around !== document.documentElement; around = around.parentElement) {
      const { overflowX, overflowY } = getComputedStyle(around);
      const edge = around.getBoundingClientRect();
      if (overflowX !== "visible") {
        if (box.left - reach < edge.left - 0.5) sides.add("left");
        if (box.right + reach > edge.right + 0.5) sides.add("right");
      }
      if (overflowY !== "visible") {
        if (box.top - reach < edge.top - 0.5) sides.add("top");
        if (box.bottom + reach > edge.bottom + 0.5) sides.add("bottom");
      }
    }
    return sides.size > 1 ? `has an outline that is cut off: ${[...sides].join(", ")}` : "";
  };

  let wanted = [];
  const plain = new Map();
  return {
    // Puts the focus before the first element, and returns how many there are. A field that asks for the focus gets it
    // when the page is first drawn, which may be later than its loading.
    async begin() {
      for (let drawn = 0; drawn < 2; drawn += 1) await new Promise(requestAnimationFrame);
      document.activeElement?.blur();
      wanted = expected();
      for (const element of wanted) plain.set(element, looks(element));
      const opener = document.querySelector(`[popovertarget="${root().id}"]`);
      if (opener) opener.focus();
      else {
        root().setAttribute("tabindex", "-1");
        root().focus({ preventScroll: true });
        root().removeAttribute("tabindex");
      }
      scrollTo(0, 0);
      return { count: wanted.length, faults: faults(), elements: wanted.map(named) };
    },
    // Returns where the focus is among the expected elements (-1: outside the page, -2: elsewhere), and what is wrong.
    now() {
      const element = document.activeElement;
      const at = wanted.indexOf(element);
      if (at < 0) return { at: !element || element === document.body ? -1 : -2, name: named(element), wrong: "" };
      const outline = looks(element);
      const drawn = (outline[0] !== "none" && parseFloat(outline[1]) > 0) || outline[4] !== "none";
      const same = JSON.stringify(outline) === JSON.stringify(plain.get(element));
      const wrong = same || !drawn ? "does not show that it has the focus" : covered(element) || cut(element);
      return { at, name: named(element), wrong: wrong && `${named(element)} ${wrong}`, parts: /date|time|month|week/.test(element.type ?? "") };
    },
    // Whether an element that listens to the mouse can be reached by keys.
    reached(element) {
      return !(element instanceof Element) || !visible(element) || element.matches("dialog, form, table") ||
        (native(element) ? element.tabIndex >= 0 || !enabled(element) || inGrid(element) : element.tabIndex >= 0) ? "" : `${named(element)} listens to the mouse alone`;
    },
  };
})();
