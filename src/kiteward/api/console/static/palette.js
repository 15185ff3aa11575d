// Opens a list of all pages at Ctrl-K or "/", to go to one by typing a part of its name. All texts come from the page.
"use strict";

const opener = document.querySelector("button[data-palette]");
const navigation = document.getElementById("navigation");

if (opener && navigation) {
  const dialog = document.createElement("dialog");
  dialog.className = "palette";
  dialog.setAttribute("aria-label", opener.dataset.palette);
  const input = document.createElement("input");
  input.type = "search";
  input.autocomplete = "off";
  input.placeholder = opener.dataset.palette;
  input.setAttribute("aria-label", opener.dataset.palette);
  const list = document.createElement("ul");
  for (const link of navigation.querySelectorAll("a")) {
    const item = document.createElement("li");
    item.append(link.cloneNode(true));
    list.append(item);
  }
  dialog.append(input, list);
  document.body.append(dialog);

  const filter = () => {
    const typed = input.value.trim().toLowerCase();
    for (const item of list.children) {
      item.hidden = !item.textContent.toLowerCase().includes(typed);
      item.classList.remove("first");
    }
    // What Enter opens.
    list.querySelector("li:not([hidden])")?.classList.add("first");
  };
  const open = () => {
    input.value = "";
    filter();
    if (!dialog.open) dialog.showModal();
  };
  input.addEventListener("input", filter);
  dialog.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("li:not([hidden]) a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "ArrowDown") (links[at + 1] ?? links[0] ?? input).focus();
    else if (event.key === "ArrowUp") (links[at - 1] ?? input).focus();
    else if (event.key === "Enter" && at < 0) links[0]?.click();
    else return;
    event.preventDefault();
  });
  addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.closest("input, select, textarea");
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if ((event.key === "k" && !plain && !event.altKey) || (event.key === "/" && plain && !typing)) {
      event.preventDefault();
      open();
    }
  });
  opener.addEventListener("click", open);
  opener.hidden = false;
}
