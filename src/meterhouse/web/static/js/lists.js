/* Choosing rows of a list: by row, by page, or all that match. The bar that says what can be done to
   them stands at the foot of the screen while any is chosen. Acts and their forms are the server's. */

function bar() { return document.getElementById("bulk"); }
function boxes() { return [...document.querySelectorAll("#list [data-choose]")]; }

function show() {
  const chosen = boxes().filter((box) => box.checked).length;
  const page = document.querySelector("#list [data-choose-page]");
  const every = bar().querySelector("[data-choose-all-pages]");
  page.checked = chosen > 0 && chosen === boxes().length;
  page.indeterminate = chosen > 0 && !page.checked;
  if (every) {
    if (!page.checked) every.checked = false;
    every.closest("label").hidden = !page.checked;
  }
  bar().querySelector("[data-chosen-count]").textContent = every?.checked ? every.dataset.count : chosen;
  bar().hidden = chosen === 0;
}

export function choose() {
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
    document.querySelector("#list [data-choose-page]").focus();
  });
}
