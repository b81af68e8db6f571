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

/* A fragment swapped into #dialog opens it; closing empties it, which also ends its polling. */
document.body.addEventListener("htmx:after:swap", () => {
  if (dialog.childElementCount && !dialog.open) dialog.showModal();
});
document.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest?.("[data-close]")) dialog.close();
});
document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-print]")) window.print();
});
dialog.addEventListener("close", () => {
  const changed = dialog.querySelector("[data-changed]");
  dialog.replaceChildren();
  if (changed) document.body.dispatchEvent(new Event("changed"));
});

document.body.addEventListener("htmx:error", () => toast(document.body.dataset.offline, "owe"));

function start() {
  if (document.querySelector("[data-chart]")) import("./chart.js").then((m) => m.draw());
  if (document.querySelector("[data-board]")) import("./board.js").then((m) => m.watch());
}
start();
document.body.addEventListener("htmx:after:settle", () => {
  if (document.querySelector("[data-chart]:empty")) import("./chart.js").then((m) => m.draw());
});
