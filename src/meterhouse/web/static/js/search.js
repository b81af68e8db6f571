/* The search box: `/` or Ctrl+K goes there, arrows choose, Enter opens, Escape leaves. What is found
   comes from the server as links; the box names the chosen one to those who listen. */

const form = document.querySelector("[data-search]");
const box = form?.elements.q;
const found = document.getElementById("found");

function options() { return [...found.querySelectorAll('[role="option"]')]; }

function choose(option) {
  for (const one of options()) {
    one.setAttribute("aria-selected", String(one === option));
    one.classList.toggle("active", one === option);
  }
  if (option) {
    box.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  } else {
    box.removeAttribute("aria-activedescendant");
  }
}

function show(open) {
  found.hidden = !open;
  box.setAttribute("aria-expanded", String(open));
  if (!open) choose(null);
}

function onKey(event) {
  const all = options();
  const at = all.findIndex((one) => one.getAttribute("aria-selected") === "true");
  if (event.key === "Escape") {
    if (found.hidden) box.blur();
    show(false);
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (!all.length) return;
    show(true);
    const step = event.key === "ArrowDown" ? 1 : -1;
    choose(all[(at + step + all.length) % all.length]);
  } else if (event.key === "Enter" && at >= 0 && !found.hidden) {
    event.preventDefault();
    all[at].click();
  }
}

export function listen() {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    const asked = (event.key === "/" && !typing) || (event.key === "k" && (event.ctrlKey || event.metaKey));
    if (!asked || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    if (box.offsetParent === null) location.href = form.action;
    else { box.focus(); box.select(); }
  });
  box.addEventListener("keydown", onKey);
  box.addEventListener("focus", () => { if (options().length && box.value) show(true); });
  document.body.addEventListener("htmx:after:swap", () => {
    if (document.activeElement === box) show(box.value.trim() !== "" && found.childElementCount > 0);
  });
  document.addEventListener("click", (event) => { if (!form.contains(event.target)) show(false); });
}
