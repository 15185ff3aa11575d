// Lists and the matrix for browsers with JavaScript; no page needs it. All texts come from the page.
"use strict";

// Offers names in a field while one types: the server's, as far as the signed-in user may see them.
function lastOf(text, many) {
  return many ? text.slice(text.search(/[^,\s]*$/)) : text;
}

for (const list of document.querySelectorAll("datalist[data-from]")) {
  const input = document.getElementById(list.dataset.completes);
  if (!input) continue;
  const many = "many" in list.dataset;
  let asked = null;
  let waiting = 0;
  input.setAttribute("list", list.id);
  const offer = async () => {
    const typed = lastOf(input.value, many);
    const before = input.value.slice(0, input.value.length - typed.length);
    const database = document.getElementById(list.dataset.database ?? "")?.value ?? "";
    const wanted = `${list.dataset.from}?${new URLSearchParams({ q: typed, database })}`;
    if (wanted === asked) return;
    asked = wanted;
    let answer;
    try {
      answer = await fetch(wanted, { redirect: "error" });
    } catch {
      return;
    }
    if (!answer.ok || asked !== wanted) return;
    const options = (await answer.json()).names.map((name) => {
      const option = document.createElement("option");
      option.value = before + name;
      return option;
    });
    list.replaceChildren(...options);
  };
  input.addEventListener("focus", offer);
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(offer, 250);
  });
}

// Selects all rows of a table, counts what is selected, and leaves a button out of use while that is nothing.
for (const bar of document.querySelectorAll("form.list-many")) {
  const every = [...bar.elements].find((each) => "all" in each.dataset);
  const boxes = [...bar.elements].filter((each) => each.type === "checkbox" && each !== every);
  const counter = bar.querySelector("[data-selected]");
  const count = () => {
    const selected = boxes.filter((box) => box.checked).length;
    counter.textContent = selected ? counter.dataset.selected.replace("{count}", selected) : "";
    bar.querySelector("button").disabled = !selected;
    if (!every) return;
    every.checked = selected > 0 && selected === boxes.length;
    every.indeterminate = selected > 0 && selected < boxes.length;
  };
  if (every && boxes.length) {
    every.hidden = false;
    every.addEventListener("change", () => {
      for (const box of boxes) box.checked = every.checked;
      count();
    });
  }
  for (const box of boxes) box.addEventListener("change", count);
  addEventListener("pageshow", count);
}

// Shows a field only with the choices that need it; one that is not shown is not sent.
for (const part of document.querySelectorAll("[data-with]")) {
  const choice = part.closest("form").elements[part.dataset.of];
  const show = () => {
    part.hidden = !part.dataset.with.split("|").includes(choice.value);
    for (const each of part.querySelectorAll("input, select")) each.disabled = part.hidden;
  };
  choice.addEventListener("change", show);
  addEventListener("pageshow", show);
}

// Filters the boxes of a field, of which those that are selected stay, and counts both.
for (const filter of document.querySelectorAll("[data-filters]")) {
  const choices = [...document.querySelectorAll(`input[type="checkbox"][name="${filter.dataset.filters}"]`)];
  const place = choices[0]?.closest(".checks");
  if (!place) continue;
  const input = filter.querySelector("input");
  const status = filter.querySelector("[data-shown]");
  place.before(filter);
  filter.hidden = false;
  const show = () => {
    const text = input.value.trim().toLowerCase();
    const selected = choices.filter((box) => box.checked).length;
    let shown = 0;
    for (const box of choices) {
      const label = box.closest("label");
      label.hidden = !box.checked && !box.value.toLowerCase().includes(text);
      if (!label.hidden) shown += 1;
    }
    for (const heading of place.querySelectorAll(".section")) {
      let each = heading.nextElementSibling;
      while (each?.hidden) each = each.nextElementSibling;
      heading.hidden = !each || each.matches(".section");
    }
    const counts = [text ? status.dataset.shown.replace("{count}", shown) : "", selected ? status.dataset.selected.replace("{count}", selected) : ""];
    status.textContent = counts.filter((each) => each).join(" · ");
  };
  input.addEventListener("input", show);
  place.addEventListener("change", show);
  addEventListener("pageshow", show);
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
}

// The matrix is one stop of Tab: arrow keys move between its boxes and the buttons of its rows and columns, each of which
// selects or clears one.
for (const grid of document.querySelectorAll("[data-grid]")) {
  const rows = [...grid.tBodies[0].rows];
  const lines = [grid.tHead.rows[0], ...rows];
  const corner = lines[0].cells[0];
  grid.parentElement.style.scrollPadding = `${corner.offsetHeight + 8}px 8px 8px ${corner.offsetWidth + 8}px`;
  const controls = [...grid.querySelectorAll('input[type="checkbox"], .select-line')];
  const controlAt = (line, column) => controls.find((each) => lines[line].cells[column].contains(each));
  let stop = grid.querySelector('tbody input[type="checkbox"]') ?? controls[0];
  for (const control of controls) control.tabIndex = control === stop ? 0 : -1;
  grid.addEventListener("focusin", (event) => {
    if (!controls.includes(event.target)) return;
    stop.tabIndex = -1;
    stop = event.target;
    stop.tabIndex = 0;
  });
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  grid.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td, th");
    if (!controls.includes(event.target) || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Home" || event.key === "End") {
      event.preventDefault();
      const found = controls.filter((each) => cell.parentElement.contains(each) && !("row" in each.dataset));
      (event.key === "Home" ? found[0] : found[found.length - 1])?.focus();
      return;
    }
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    let line = lines.indexOf(cell.parentElement) + step[0];
    let column = cell.cellIndex + step[1];
    for (; lines[line]?.cells[column]; line += step[0], column += step[1]) {
      const control = controlAt(line, column);
      if (control) return control.focus();
    }
  });
  const toggle = (line) => {
    const fill = line.some((box) => !box.checked);
    for (const box of line) box.checked = fill;
    line[0]?.dispatchEvent(new Event("change", { bubbles: true }));
  };
  for (const button of grid.querySelectorAll(".select-line")) {
    const at = "row" in button.dataset ? null : Number(button.dataset.column) + 1;
    button.hidden = false;
    button.addEventListener("click", () => {
      const cells = at === null ? [...button.closest("tr").cells] : rows.map((row) => row.cells[at]);
      toggle(cells.map((cell) => cell.querySelector('input[type="checkbox"]')).filter((box) => box));
    });
  }
}
