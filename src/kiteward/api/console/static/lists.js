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
    counter.textContent = selected ? `${selected} ${counter.dataset.selected}` : "";
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

// Shows a field only with the changes that need it.
for (const part of document.querySelectorAll("[data-with]")) {
  const choice = part.closest("form").querySelector('select[name="change"]');
  const show = () => { part.hidden = !part.dataset.with.split(" ").includes(choice.value); };
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
    const counts = [text ? `${shown} ${status.dataset.shown}` : "", selected ? `${selected} ${status.dataset.selected}` : ""];
    status.textContent = counts.filter((each) => each).join(" · ");
  };
  input.addEventListener("input", show);
  place.addEventListener("change", show);
  addEventListener("pageshow", show);
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
}

// The matrix: arrow keys move between boxes, and a button selects or clears a row or a column.
for (const grid of document.querySelectorAll("[data-grid]")) {
  const rows = [...grid.tBodies[0].rows];
  const boxAt = (row, column) => rows[row]?.cells[column]?.querySelector('input[type="checkbox"]') ?? null;
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  grid.addEventListener("keydown", (event) => {
    const cell = event.target.closest('td');
    if (!cell || event.target.type !== "checkbox" || event.altKey || event.ctrlKey || event.metaKey) return;
    let row = rows.indexOf(cell.parentElement);
    let column = cell.cellIndex;
    if (event.key === "Home" || event.key === "End") {
      event.preventDefault();
      const found = [...cell.parentElement.querySelectorAll('input[type="checkbox"]')];
      (event.key === "Home" ? found[0] : found[found.length - 1]).focus();
      return;
    }
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    do {
      row += step[0];
      column += step[1];
      const box = boxAt(row, column);
      if (box) {
        box.focus();
        return;
      }
    } while (row >= 0 && row < rows.length && column > 0 && column < rows[0].cells.length);
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
