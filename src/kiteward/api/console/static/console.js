// Improves pages for browsers with JavaScript; no page needs it. All texts come from the page.
"use strict";

function classesOf(text) {
  const kinds = new Set();
  for (const character of text) {
    if (/\p{Lu}/u.test(character)) kinds.add("upper");
    else if (/\p{Ll}/u.test(character)) kinds.add("lower");
    else if (/\p{Nd}/u.test(character)) kinds.add("digit");
    else kinds.add("special");
  }
  return kinds.size;
}

// Checks the password policy during input; the server checks it again.
for (const list of document.querySelectorAll("[data-checks]")) {
  const input = document.getElementById(list.dataset.checks);
  const rules = {
    length: (text) => {
      const length = list.dataset.bytes === "1" ? new TextEncoder().encode(text).length : [...text].length;
      return length >= Number(list.dataset.shortest) && length <= Number(list.dataset.longest);
    },
    classes: (text) => classesOf(text) >= 3,
  };
  const status = document.createElement("span");
  status.className = "unseen";
  status.setAttribute("role", "status");
  list.after(status);
  input.addEventListener("input", () => {
    const broken = [];
    for (const item of list.querySelectorAll("[data-rule]")) {
      const kept = rules[item.dataset.rule](input.value);
      item.className = input.value ? (kept ? "kept" : "broken") : "";
      if (!kept) broken.push(item.textContent);
    }
    status.textContent = !input.value ? "" : broken.length ? `${list.dataset.broken} ${broken.join("; ")}` : list.dataset.kept;
  });
}

for (const button of document.querySelectorAll("button.copy")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const label = button.textContent;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

// Marks and counts the changes in the matrix.
for (const counter of document.querySelectorAll("[data-counts]")) {
  const boxes = [...counter.closest("form").querySelectorAll(`input[name="${counter.dataset.counts}"]`)];
  const count = () => {
    let changed = 0;
    for (const box of boxes) {
      const differs = box.checked !== box.defaultChecked;
      box.parentElement.classList.toggle("changed", differs);
      if (differs) changed += 1;
    }
    counter.textContent = changed ? `${changed} ${counter.dataset.counted}` : "";
  };
  counter.closest("form").addEventListener("change", count);
  addEventListener("pageshow", count);
}

// Sends a form only once, however often its button is pressed, and shows that it is being sent.
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    if (form.ariaBusy === "true") event.preventDefault();
    form.ariaBusy = "true";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[aria-busy]")) form.removeAttribute("aria-busy");
});

// After a form was not accepted, focuses the first field with an error.
document.querySelector("[aria-invalid=true]")?.focus();
