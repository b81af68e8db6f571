/* The desk, by keyboard from one customer to the next: Enter in the amount goes on to the cash received,
   Enter there sells; Esc, or Enter on "Next customer", goes back to the box. Sums are the server's. */

const box = document.querySelector("[data-desk] [data-search]").elements.q;
let seen = null;
let told = null;

function again() {
  box.focus();
  box.select();
}

/* What has just come to be filled in or read takes the focus once; what is refreshed never does. */
function settle() {
  const part = document.getElementById("sale");
  const first = part?.querySelector(".is-invalid") ?? part?.querySelector("[autofocus]");
  if (first && first !== seen) {
    seen = first;
    if (!part.contains(document.activeElement) || first.matches(".is-invalid")) first.focus();
    if (first.select) first.select();
  }
  const sold = document.getElementById("sold");
  if (sold && sold.dataset.payment !== told) {
    told = sold.dataset.payment;
    document.body.dispatchEvent(new Event("changed"));
  }
}

export function keep() {
  document.body.addEventListener("htmx:after:swap", settle);
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape" && event.target !== box) {
      event.preventDefault();
      again();
    }
    if (event.key === "Enter" && event.target.id === "sale-amount") {
      const tender = document.getElementById("sale-tender");
      if (tender?.offsetParent && event.target.value) {
        event.preventDefault();
        tender.focus();
      }
    }
  });
  // The paper opens in a tab of its own; here the next customer is one key away.
  document.addEventListener("submit", (event) => {
    if (event.target.matches("[data-paper]")) setTimeout(() => document.querySelector("[data-next]")?.focus());
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-next]")) again();
  });
}
