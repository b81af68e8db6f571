/* The room monitor: filters what is on the page at once, and asks every few seconds what changed.
   The server answers 204 while nothing did. All texts come finished from the server. */

import { toast } from "./frame.js";

const EVERY_MS = 2000;
const WAIT_MAX_MS = 30000;
const form = document.querySelector("[data-board]");
const nothing = document.getElementById("nothing");
const tiles = new Map([...document.querySelectorAll(".tiles a")].map((tile) => [idOf(tile), tile]));
let version = form?.dataset.board;
let waitMs = EVERY_MS;

function idOf(tile) {
  return tile.getAttribute("href").slice("rooms/".length);
}

function chosenState() {
  return form.querySelector('.chip[aria-pressed="true"]');
}

function filter() {
  const chip = chosenState();
  const colour = chip.querySelector("[data-count]").dataset.count;
  const text = form.elements.text.value.trim().toLowerCase();
  let shown = 0;
  for (const tile of tiles.values()) {
    const matches = (!colour || tile.classList.contains(colour))
      && (!text || tile.children[0].textContent.toLowerCase().includes(text));
    tile.hidden = !matches;
    shown += matches;
  }
  for (const part of document.querySelectorAll(".floor")) {
    part.hidden = !part.querySelector("a:not([hidden])");
  }
  for (const part of document.querySelectorAll(".building")) {
    part.hidden = !part.querySelector("a:not([hidden])");
  }
  nothing.hidden = shown > 0 || tiles.size === 0;
  const query = new URLSearchParams();
  for (const [name, chosen] of [["building", form.elements.building.value],
    ["text", form.elements.text.value.trim()], ["state", chip.value]]) {
    if (chosen) query.set(name, chosen);
  }
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  query.set("kind", "xlsx");
  form.querySelector("[data-export]").href = `rooms/export?${query}`;
}

function apply(changes) {
  for (const [id, colour, customer, money, word] of changes.rooms) {
    const tile = tiles.get(String(id));
    if (!tile) continue;
    const [, name, amount, state] = tile.children;
    tile.className = `${colour} changed`;
    name.textContent = customer;
    amount.textContent = money;
    state.textContent = word;
    setTimeout(() => tile.classList.remove("changed"), EVERY_MS);
  }
  for (const [colour, count] of Object.entries(changes.counts)) {
    form.querySelector(`[data-count="${colour}"]`).textContent = count;
  }
  version = changes.version;
  filter();
}

async function poll() {
  if (!document.hidden) {
    try {
      const query = new URLSearchParams({ since: version, building: form.elements.building.value });
      const answer = await fetch(`${form.dataset.changes}?${query}`);
      if (answer.status === 200) apply(await answer.json());
      else if (answer.redirected || answer.status === 401) location.reload();
      else if (answer.status !== 204) throw new Error(String(answer.status));
      waitMs = EVERY_MS;
    } catch {
      if (waitMs === EVERY_MS) toast(form.dataset.stale, "owe");
      waitMs = Math.min(waitMs * 2, WAIT_MAX_MS);
    }
  }
  setTimeout(poll, waitMs);
}

export function watch() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const chip = event.submitter?.closest(".chip");
    if (chip) {
      chosenState().setAttribute("aria-pressed", "false");
      chip.setAttribute("aria-pressed", "true");
    }
    filter();
  });
  form.elements.text.addEventListener("input", filter);
  form.elements.building.addEventListener("change", () => form.submit());
  filter();
  setTimeout(poll, waitMs);
}
