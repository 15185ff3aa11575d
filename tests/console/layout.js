// Measures how a page is laid out, for tests/console/looks.py: returns a line for each fault that can be measured.
(() => {
  const TOLERANCE = 1.5;
  const WIDE = 832;  // from here on, what can be done with a row has to be on one line
  const found = [];
  const visible = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".unseen");
  const every = (selector) => [...document.querySelectorAll(selector)].filter(visible);
  const named = (element) => {
    const text = element.getAttribute("aria-label") || element.innerText || element.name || "";
    return `<${element.localName}${element.id ? ` #${element.id}` : ""}> ${text.trim().replace(/\s+/g, " ").slice(0, 40)}`;
  };
  const fault = (element, what) => found.push(`${named(element)} ${what}`);

  // The lines of text in an element, each as the boxes of its pieces.
  const pieces = (element) => {
    const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT), boxes = [];
    while (texts.nextNode()) {
      const node = texts.currentNode;
      if (!node.data.trim() || !visible(node.parentElement)) continue;
      const range = document.createRange();
      range.setStart(node, node.data.search(/\S/));
      range.setEnd(node, node.data.trimEnd().length);
      for (const box of range.getClientRects()) if (box.width > 1) boxes.push({ box, of: node.parentElement });
    }
    return boxes;
  };
  const pen = document.createElement("canvas").getContext("2d");
  const baseline = ({ box, of }) => {
    const { fontStyle, fontWeight, fontSize, fontFamily } = getComputedStyle(of);
    pen.font = `${fontStyle} ${fontWeight} ${fontSize} ${fontFamily}`;
    const { fontBoundingBoxAscent: above, fontBoundingBoxDescent: below } = pen.measureText("x");
    return box.top + (box.height * above) / (above + below);
  };
  const firstBaseline = (element) => {
    const [first] = pieces(element);
    return first && baseline(first);
  };

  // A box and its label: the text begins beside the box, and no line of it stands below the box.
  for (const box of every("label > input[type=checkbox]")) {
    const texts = pieces(box.parentElement);
    if (!texts.length) continue;
    const own = box.getBoundingClientRect(), middle = (own.top + own.bottom) / 2;
    if (texts[0].box.top > middle || texts[0].box.bottom < middle) fault(box.parentElement, "does not begin on the line of its box");
    if (texts.some(({ box: text }) => text.left < own.right)) fault(box.parentElement, "goes on below its box");
  }

  // What can be done with a row is on the first line of the row; where there is room, all of it on one line.
  for (const cell of every("td.actions")) {
    const lines = [...cell.querySelectorAll("a, button")].filter(visible).map((each) => [each, firstBaseline(each)]);
    const beside = [...cell.parentElement.cells].filter((each) => each !== cell && visible(each)).map(firstBaseline).filter((each) => each !== undefined);
    const wanted = beside.length ? Math.min(...beside) : lines[0]?.[1];
    for (const [each, at] of innerWidth < WIDE ? lines.slice(0, 1) : lines)
      if (Math.abs(at - wanted) > TOLERANCE) fault(each, `stands ${Math.round(at - wanted)} px below the line of its row`);
  }

  // Texts of buttons, links, fields and notes beside one another have one baseline.
  const line = (element) => {
    if (!element.matches("input, select")) return firstBaseline(element);
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    pen.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const { fontBoundingBoxAscent: above, fontBoundingBoxDescent: below } = pen.measureText("x");
    return (box.top + box.bottom) / 2 + (above - below) / 2;
  };
  for (const bar of every(".buttons, .search, .explorer-form")) {
    const parts = [...bar.querySelectorAll(":scope > :is(a, button, .hint, form), :scope > .pair > :is(input, select), :scope > .field > :is(input, select)")].filter(visible);
    const lines = parts.map((each) => [each, each.getBoundingClientRect(), line(each)]).filter(([, , at]) => at !== undefined);
    for (const [index, [each, box, at]] of lines.entries()) {
      const before = lines[index - 1];
      if (!before || box.top >= before[1].bottom || box.bottom <= before[1].top) continue;
      if (Math.abs(at - before[2]) > TOLERANCE) fault(each, `stands ${Math.round(at - before[2])} px below ${named(before[0])}`);
    }
  }

  // The chosen text of a list is not cut off.
  for (const select of every("select")) {
    const option = select.selectedOptions[0];
    if (!option) continue;
    const whole = select.cloneNode();
    whole.removeAttribute("id");
    whole.append(option.cloneNode(true));
    whole.style.cssText = "position: absolute; width: max-content; min-width: 0; max-width: none; flex: none";
    select.after(whole);
    const missing = whole.getBoundingClientRect().width - select.getBoundingClientRect().width;
    whole.remove();
    if (missing > TOLERANCE) fault(select, `cuts ${Math.round(missing)} px off “${option.text}”`);
  }

  // What is wrong with a field makes it neither wider nor narrower.
  const wrong = every(":is(input, select, textarea)[aria-invalid=true]");
  const before = wrong.map((each) => each.getBoundingClientRect().width);
  const notes = [...document.querySelectorAll(".error, .quoted")];
  const shown = notes.map((each) => each.hidden);
  for (const each of notes) each.hidden = true;
  for (const each of wrong) each.removeAttribute("aria-invalid");
  for (const [index, each] of wrong.entries()) {
    const usual = each.getBoundingClientRect().width;
    if (Math.abs(before[index] - usual) > TOLERANCE) fault(each, `is ${Math.round(before[index])} px wide with an error, and ${Math.round(usual)} px without`);
  }
  for (const [index, each] of notes.entries()) each.hidden = shown[index];
  for (const each of wrong) each.ariaInvalid = "true";

  // The label of what is searched for is on one line: else fields side by side would begin far below it.
  for (const label of every(".search > .pair > label")) {
    const boxes = pieces(label);
    if (boxes.some(({ box }) => box.top - boxes[0].box.top > TOLERANCE)) fault(label, "is broken into lines");
  }

  // What one can follow beside a value, or in a note, is on one line where one line has room for it.
  for (const link of every("dd > a, .note a")) {
    const boxes = pieces(link), long = boxes.reduce((sum, { box }) => sum + box.width, 0);
    const room = link.parentElement.clientWidth - parseFloat(getComputedStyle(link.parentElement).paddingInline) * 2;
    if (long < room && boxes.some(({ box }) => box.top - boxes[0].box.top > TOLERANCE)) fault(link, "is broken into lines");
  }

  // Texts do not lie over one another. The lines of one text may, where they are cut.
  for (const frame of every("td:not(.covered), dd, .buttons, .search, .list-pages")) {
    const boxes = pieces(frame);
    for (const [index, { box, of }] of boxes.entries())
      for (const { box: other, of: below } of boxes.slice(0, index))
        if (of !== below && Math.min(box.right, other.right) - Math.max(box.left, other.left) > 2 && Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top) > 6)
          fault(of, `lies over ${named(below)}`);
  }

  // A label keeps a distance from the field beside it.
  for (const label of every(".pair > label")) {
    const text = pieces(label).at(-1)?.box, field = label.parentElement.querySelector("input, select");
    if (!text || !field || !visible(field)) continue;
    const box = field.getBoundingClientRect();
    if (text.top < box.bottom && text.bottom > box.top && box.left - text.right < 8) fault(label, `is ${Math.round(box.left - text.right)} px from its field`);
  }

  // What unfolds more of a moment takes one line.
  for (const fold of every("td.fixed summary")) {
    const boxes = pieces(fold);
    if (boxes.some(({ box }) => box.top - boxes[0].box.top > TOLERANCE)) fault(fold, "is broken into lines");
  }

  // What names a value, or says how much a fold holds, takes one line, unless its column is narrower.
  for (const name of every(".fact > .hint, summary .hint")) {
    const boxes = pieces(name), room = name.closest("td, summary").clientWidth, usual = name.style.cssText;
    if (!boxes.some(({ box }) => box.top - boxes[0].box.top > TOLERANCE)) continue;
    name.style.cssText = "position: absolute; white-space: nowrap; max-width: none";
    const whole = name.getBoundingClientRect().width;
    name.style.cssText = usual;
    if (whole < room - 36) fault(name, "is broken into lines");
  }

  // A name in a list of boxes is on one line, also when it is ticked and bold.
  for (const label of every(".checks label")) {
    const text = label.innerText.trim(), weight = label.style.fontWeight;
    if (/\s/.test(text) || text.length > 32) continue;
    label.style.fontWeight = "600";
    const boxes = pieces(label);
    label.style.fontWeight = weight;
    if (boxes.length > 1) fault(label, "is broken inside its name");
  }

  // A table that nearly fits has its last column at the edge, and looks cut off.
  for (const frame of every(".wide")) {
    const over = frame.scrollWidth - frame.clientWidth;
    if (over > 0 && over <= 16) fault(frame, `hides ${over} px of its table`);
  }

  // Columns of a table have names of their own.
  for (const head of every("thead")) {
    const names = [...head.querySelectorAll("th")].filter(visible).map((each) => each.innerText.trim()).filter(Boolean);
    for (const [index, name] of names.entries()) if (names.indexOf(name) !== index) fault(head, `has two columns “${name}”`);
  }

  // Of tabs one is the current one, and of the navigation's links at most one.
  for (const tabs of every(".explorer-tabs, .periods"))
    if (tabs.querySelectorAll("[aria-current]").length !== 1) fault(tabs, "does not have one current tab");
  if (document.querySelectorAll("nav.side [aria-current]").length > 1) fault(document.querySelector("nav.side"), "has several current links");
  return found;
})();
