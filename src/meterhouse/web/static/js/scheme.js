/* The scheme editor: what the server found wrong is put beside its field, and a step leaves the focus
   where it goes on. Owns no words and no sums; both come with the preview. */

const form = document.querySelector("[data-scheme]");
let known = new Set();

function forget() {
  for (const one of form.querySelectorAll(".placed")) one.remove();
  for (const one of form.querySelectorAll(".is-invalid")) {
    one.classList.remove("is-invalid");
    one.removeAttribute("aria-invalid");
  }
}

/* An empty field that nobody has tried to publish is only listed: it is not wrong, but not typed yet. */
function place() {
  forget();
  const tried = "tried" in form.dataset;
  for (const one of document.querySelectorAll("#scheme-faults [data-field]")) {
    const field = document.getElementById(`f-${one.dataset.field}`);
    const isControl = field?.matches("input, select, textarea");
    if (!field || (isControl && !field.value.trim() && !tried)) continue;
    const told = document.createElement("div");
    told.className = "invalid-feedback d-block placed";
    told.textContent = one.textContent;
    if (isControl) {
      field.classList.add("is-invalid");
      field.setAttribute("aria-invalid", "true");
    }
    (field.closest(".input-group") ?? field).after(told);
  }
}

function names() {
  return new Set([...form.querySelectorAll("#scheme-fields [name]")].map((one) => one.id));
}

export function edit() {
  known = names();
  document.body.addEventListener("htmx:after:swap", (event) => {
    place();
    const now = names();
    const fresh = [...now].find((id) => id && !known.has(id));
    if (known.size && fresh && now.size > known.size) document.getElementById(fresh)?.focus();
    known = now;
  });
  // A link to a field that is folded away opens what it is in.
  document.addEventListener("click", (event) => {
    const field = event.target.closest?.("#scheme-faults a");
    const there = field && document.getElementById(decodeURIComponent(field.hash.slice(1)));
    if (!there) return;
    event.preventDefault();
    there.closest("details")?.setAttribute("open", "");
    (there.matches("input, select, textarea") ? there : there.querySelector("input, button") ?? there).focus();
    there.scrollIntoView({ block: "center" });
  });
  // Enter in a field would publish; it goes nowhere instead.
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input")) event.preventDefault();
  });
  place();
}
