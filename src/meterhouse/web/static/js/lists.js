/* Choosing rows of a list: by row, by page, or all that match. The bar that says what can be done to
   them stands at the foot of the screen while any is chosen. Acts and their forms are the server's. */

function bar() { return document.getElementById("bulk"); }
function pages() { return [...document.querySelectorAll("#list [data-choose-page]")]; }
function boxes() { return [...document.querySelectorAll("#list [data-choose]")]; }

function show() {
  const chosen = boxes().filter((box) => box.checked).length;
  const whole = chosen > 0 && chosen === boxes().length;
  const every = bar().querySelector("[data-choose-all-pages]");
  for (const page of pages()) {
    page.checked = whole;
    page.indeterminate = chosen > 0 && !whole;
  }
  if (every) {
    if (!whole) every.checked = false;
    every.closest("label").hidden = !whole;
  }
  bar().querySelector("[data-chosen-count]").textContent = every?.checked ? every.dataset.count : chosen;
  bar().hidden = chosen === 0;
}

export function choose() {
  // What was ticked before this module came, or is ticked again on the way back, counts too.
  if (bar()) {
    if (pages().some((page) => page.checked)) for (const box of boxes()) box.checked = true;
    show();
  }
  document.addEventListener("change", (event) => {
    if (!bar() || !event.target.closest("#list")) return;
    if (event.target.matches("[data-choose-page]")) {
      for (const box of boxes()) box.checked = event.target.checked;
    }
    if (event.target.matches("[data-choose], [data-choose-page], [data-choose-all-pages]")) show();
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-choose-none]")) return;
    for (const box of boxes()) box.checked = false;
    show();
    pages().find((page) => page.offsetParent !== null)?.focus();
  });
}
