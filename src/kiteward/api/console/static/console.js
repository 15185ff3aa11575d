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

// Offers to show what is typed into a field for a password.
for (const button of document.querySelectorAll("button[data-shows]")) {
  const input = document.getElementById(button.dataset.shows);
  const label = button.firstChild;
  const shows = label.data;
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    label.data = shown ? button.dataset.hides : shows;
  });
  // Managers of passwords save what is in a field for passwords.
  input.form.addEventListener("submit", () => { input.type = "password"; });
}

// Closes a menu when the focus leaves it: it would cover what has the focus then.
document.addEventListener("focusin", (event) => {
  const menu = document.querySelector("[popover]:popover-open");
  if (!menu || menu.contains(event.target) || event.target.getAttribute("popovertarget") === menu.id) return;
  menu.hidePopover();
});

// Scrolls what gets the focus by a key wholly into view: browsers leave what a table cuts off at a side, and of a field
// of several lines all but the first one.
let byKey = false;
addEventListener("keydown", () => { byKey = true; }, true);
addEventListener("pointerdown", () => { byKey = false; }, true);
document.addEventListener("focusin", (event) => {
  if (byKey && event.target.matches("textarea, .wide *")) event.target.scrollIntoView({ block: "nearest", inline: "nearest" });
});

// Offers the time zone of the browser.
for (const select of document.querySelectorAll("select[data-zone]")) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const option = [...select.options].find((each) => each.value === zone) ?? new Option(zone, zone);
  option.text = `${zone}${select.dataset.zone}`;
  if (!option.parentElement) select.add(option);
}

// Asks before a page is left whose form was changed and not sent.
const differs = (field) => {
  if (field.type === "hidden" || field.disabled) return false;
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.options) return field.selectedIndex !== Math.max(0, [...field.options].findIndex((each) => each.defaultSelected));
  return field.defaultValue !== undefined && field.value !== field.defaultValue;
};
const guarded = [...document.querySelectorAll("form[method=post]:not(.inline, .card form, .popup form)")];
addEventListener("beforeunload", (event) => {
  if (guarded.some((form) => form.ariaBusy === "true")) return;
  if (!guarded.some((form) => "unsaved" in form.dataset || [...form.elements].some(differs))) return;
  event.preventDefault();
  setTimeout(nothingIsSent);
});

// Sends a form only once, however often its button is pressed, and shows that it is being sent.
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    if (form.ariaBusy === "true") event.preventDefault();
    form.ariaBusy = "true";
  });
}
function nothingIsSent() {
  for (const form of document.querySelectorAll("form[aria-busy]")) form.removeAttribute("aria-busy");
}
addEventListener("pageshow", nothingIsSent);

// Sends a form that leads on to the next page by itself.
document.querySelector("form[data-leads-on]")?.requestSubmit();

// After a form was not accepted, focuses the first field with an error.
document.querySelector("[aria-invalid=true]:not(fieldset)")?.focus();
