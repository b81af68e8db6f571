/* Search boxes: `/` or Ctrl+K goes to the page's own, else to the one in the header; arrows choose,
   Enter opens, Escape leaves. What is found comes from the server as links; the box names the chosen
   one to those who listen. A box that `data-search="first"` opens the first it finds on Enter, also
   when Enter comes before the answer does. */

function wire(form) {
  const box = form.elements.q;
  const found = document.getElementById(box.getAttribute("aria-controls"));
  const takesFirst = form.dataset.search === "first";
  let awaited = "";
  let isTyping = false;

  const options = () => [...found.querySelectorAll('[role="option"]')];
  const isAnswered = () => found.querySelector("[data-text]")?.dataset.text === box.value.trim();

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

  function open(option) {
    awaited = "";
    isTyping = false;
    show(false);
    option.click();
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
      open(all[at]);
    } else if (event.key === "Enter" && takesFirst) {
      event.preventDefault();
      if (isAnswered() && all.length) open(all[0]);
      else awaited = box.value.trim();
    }
  }

  box.addEventListener("keydown", onKey);
  box.addEventListener("input", () => { isTyping = true; });
  box.addEventListener("focus", () => { if (options().length && box.value) show(true); });
  document.body.addEventListener("htmx:after:swap", () => {
    if (document.activeElement !== box || !isTyping) return;
    show(box.value.trim() !== "" && found.childElementCount > 0);
    if (awaited && isAnswered()) {
      awaited = "";
      if (options().length) open(options()[0]);
    }
  });
  document.addEventListener("click", (event) => { if (!form.contains(event.target)) show(false); });
  // What was typed before this module came is asked for, or shown if it has been answered.
  if (document.activeElement === box && box.value !== box.defaultValue) {
    box.dispatchEvent(new Event("input", { bubbles: true }));
    show(options().length > 0);
  }
}

export function listen() {
  document.querySelectorAll("[data-search]").forEach(wire);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    const asked = (event.key === "/" && !typing) || (event.key === "k" && (event.ctrlKey || event.metaKey));
    if (!asked || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    const form = document.querySelector("main [data-search]") ?? document.querySelector("[data-search]");
    const box = form.elements.q;
    if (box.offsetParent === null) location.href = form.action;
    else { box.focus(); box.select(); }
  });
}
