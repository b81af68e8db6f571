/* The scheme editor: what the server found wrong is put beside its field, and a step leaves the focus
   where it goes on. Owns no words and no sums; both come with the preview. */

const form = document.querySelector("[data-scheme]");
const fields = document.getElementById("scheme-fields");
let known = new Set();
let stepping = null;

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
    const said = one.dataset.said ??= one.textContent.trim();
    const name = field?.getAttribute("aria-label") ?? field?.labels?.[0]?.textContent;
    if (name) {
      const bold = document.createElement("b");
      bold.textContent = name;
      one.firstElementChild.replaceChildren(bold, ` ${said}`);
    }
    if (!field || (isControl && !field.value.trim() && !tried)) continue;
    const told = document.createElement("div");
    told.className = "invalid-feedback d-block placed";
    told.textContent = said;
    if (isControl) {
      field.classList.add("is-invalid");
      field.setAttribute("aria-invalid", "true");
    }
    (field.closest(".input-group") ?? field).after(told);
  }
}

function names() {
  return new Set([...fields.querySelectorAll("input, select, textarea")].map((one) => one.id));
}

/* To the list that was chosen from; else to what a step added; after a removal to the same kind of button, else to where the section begins. */
function goOn() {
  const fresh = [...names()].find((id) => id && !known.has(id));
  const section = stepping?.section && document.getElementById(stepping.section)?.closest("section");
  const there = (stepping?.id && document.getElementById(stepping.id))
    ?? (fresh && document.getElementById(fresh))
    ?? [...fields.querySelectorAll("button")].find((one) => one.getAttribute("hx-vals") === stepping?.step)
    ?? section?.querySelector("button, input");
  there?.focus();
}

export function edit() {
  // While a step is under way nothing can be typed that it would wipe out.
  document.body.addEventListener("htmx:before:request", (event) => {
    if (event.detail.ctx.target !== fields) return;
    const button = event.target;
    stepping = { step: button.getAttribute("hx-vals"), id: button.id, section: button.closest("section")?.getAttribute("aria-labelledby") };
    known = names();
    fields.inert = true;
  });
  document.body.addEventListener("htmx:error", () => { fields.inert = false; });
  document.body.addEventListener("htmx:after:swap", (event) => {
    if (stepping && event.detail.ctx.target === fields) {
      fields.inert = false;
      goOn();
      stepping = null;
    }
    place();
  });
  // A link to a field that is folded away opens what it is in.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("#scheme-faults a");
    const there = link && document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (!there) return;
    event.preventDefault();
    there.closest("details")?.setAttribute("open", "");
    const control = there.matches("input, select, textarea") ? there : there.querySelector("input, button");
    (control ?? there).focus();
    there.scrollIntoView({ block: "center" });
  });
  // What names a band, a table or a season is read wherever it is chosen.
  form.addEventListener("input", (event) => {
    if (!event.target.id.endsWith(".name")) return;
    for (const one of fields.querySelectorAll("[data-named]")) {
      if (one.dataset.named === event.target.id) one.textContent = event.target.value;
    }
  });
  // Enter in a field would publish; it goes nowhere instead.
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input")) event.preventDefault();
  });
  place();
  // What was refused may stand far down.
  if ("tried" in form.dataset) fields.querySelector(".is-invalid")?.focus();
}
