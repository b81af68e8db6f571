/* What every page needs beyond links and forms: dialogs, toasts, charts on demand.
   Owns no data: money, energy and dates arrive as finished text. */

const dialog = document.getElementById("dialog");
const toasts = document.getElementById("toasts");
const TOAST_MS = 5000;

export function toast(text, colour = "busy") {
  const box = document.createElement("div");
  box.className = colour;
  box.textContent = text;
  toasts.append(box);
  setTimeout(() => box.remove(), TOAST_MS);
}

/* What is pressed is done. An answer that comes between press and release may move a button from under
   the pointer; the browser then gives the click to whatever holds both places, and it would be lost.
   Who moves the pointer away before letting go has changed their mind, as ever. */
const STILL_PX = 8;
let down = null;
document.addEventListener("pointerdown", (event) => {
  down = { target: event.target, x: event.clientX, y: event.clientY };
}, true);
document.addEventListener("click", (event) => {
  if (!event.isTrusted || !event.detail || !down) return;
  const pressed = down.target.closest?.("button, a[href]");
  const far = Math.hypot(event.clientX - down.x, event.clientY - down.y);
  if (!pressed?.isConnected || pressed.contains(event.target) || far > STILL_PX) return;
  event.preventDefault();
  event.stopPropagation();
  pressed.click();
}, true);

/* A fragment swapped into #dialog opens it; closing empties it, which also ends its polling, and
   gives the focus back to what opened it. Asked for twice, as by a double click, it opens once: the
   second answer would wipe out what was typed meanwhile. */
let opener = null;
document.body.addEventListener("htmx:before:request", (event) => {
  if (!dialog.open) opener = document.activeElement;
  else if (event.detail.ctx.target === dialog && !dialog.contains(event.target)) event.preventDefault();
});
document.body.addEventListener("htmx:after:swap", () => {
  if (!dialog.childElementCount) return;
  // Named by its heading: an id would be ambiguous where a page has the same form in it.
  dialog.setAttribute("aria-label", dialog.querySelector("h2")?.textContent.trim() ?? "");
  if (!dialog.open) dialog.showModal();
  const first = dialog.querySelector(".is-invalid") || dialog.querySelector("[autofocus]");
  if (first && !dialog.contains(document.activeElement)) first.focus();
});
document.addEventListener("click", (event) => {
  if ((event.target === dialog && down?.target === dialog) || event.target.closest?.("[data-close]")) dialog.close();
});
document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-print]")) window.print();
});
dialog.addEventListener("close", () => {
  const changed = dialog.querySelector("[data-changed]");
  dialog.replaceChildren();
  if (opener?.isConnected) (opener.closest(".dropdown")?.querySelector("[data-bs-toggle]") ?? opener).focus();
  if (changed) document.body.dispatchEvent(new Event("changed"));
});

/* What fails keeps what was there, and says so: no network, or an error of the server. */
document.body.addEventListener("htmx:error", () => toast(document.body.dataset.offline, "owe"));

/* A form that takes a while shows it, and is not sent twice. */
document.addEventListener("submit", (event) => {
  const button = event.target.matches("[data-busy]") && event.target.querySelector("button:not([type=button])");
  // What answers with a file leaves the page as it is, ready for the next.
  if (!button || event.submitter?.matches("[data-no-busy]")) return;
  button.classList.add("busy-now");
  setTimeout(() => { button.disabled = true; });
});

/* A box that filters what stands below it as one types. */
document.addEventListener("input", (event) => {
  const filter = event.target.dataset?.filter;
  if (!filter) return;
  const text = event.target.value.trim().toLowerCase();
  for (const one of document.querySelectorAll(filter)) one.hidden = !one.dataset.name.includes(text);
  for (const group of document.querySelectorAll(".projects .group")) {
    group.hidden = !group.querySelector("[data-name]:not([hidden])");
  }
});

/* What only some pages need. All of it listens before the page counts as awake, see early.js; a chart,
   whose library is large, only draws. */
function parts() {
  const wanted = [
    ["[data-board]", "./board.js", (m) => m.watch()],
    ["[data-search]", "./search.js", (m) => m.listen()],
    ["[data-desk]", "./desk.js", (m) => m.keep()],
    ["[data-scheme]", "./scheme.js", (m) => m.edit()],
    ["#list", "./lists.js", (m) => m.choose()],
  ];
  return wanted.filter(([where]) => document.querySelector(where))
    .map(([, module, begin]) => import(module).then(begin));
}
// After htmx, which begins at this event, too, and whose script stands before this one.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest" });
  if (document.querySelector("[data-chart]")) import("./chart.js").then((m) => m.draw());
  Promise.all(parts()).finally(() => document.dispatchEvent(new Event("awake")));
});
document.body.addEventListener("htmx:after:settle", () => {
  if (document.querySelector("[data-chart]:empty")) import("./chart.js").then((m) => m.draw());
});
