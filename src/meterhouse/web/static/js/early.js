/* What is pressed before the page can hear it is done once it can. A page is seen sooner than its scripts
   have come, on a slow line or a busy machine; a button that is theirs would do nothing until then. Loaded
   before all others and small; frame.js sends "awake" when everything listens. Should a script not come at
   all, the page is plain: what would open in a dialog opens as a page, and forms go where they say. */

(() => {
  const PATIENCE_MS = 20000;
  const root = document.documentElement;
  let pressed = null;
  let isPlain = false;
  let lacks = false;

  function keep(event) {
    const button = event.target.closest?.("button");
    if (!event.isTrusted || !button?.matches("[type=button], [data-bs-toggle], [data-bs-dismiss], [hx-get]")) return;
    event.preventDefault();
    event.stopPropagation();
    pressed = button;
  }

  /* Scripts that did come would swap parts of the page where nobody opens them: they hear nothing. */
  function press(event) {
    const button = event.target.closest?.("button[hx-get]:not([data-bs-toggle]), [data-close]");
    if (button) {
      event.preventDefault();
      if (button.matches("[data-close]")) history.back();
      else location.assign(button.getAttribute("hx-get"));
    }
    if (button || event.target.closest?.("a[href]")) event.stopPropagation();
  }
  const send = (event) => event.stopPropagation();

  function heard() {
    document.removeEventListener("click", keep, true);
    delete root.dataset.waking;
    if (pressed?.isConnected) pressed.click();
    pressed = null;
  }
  function plain() {
    if (isPlain) return;
    isPlain = true;
    document.addEventListener("click", press, true);
    document.addEventListener("submit", send, true);
    heard();
  }

  root.dataset.waking = "";
  document.addEventListener("click", keep, true);
  const patience = setTimeout(plain, PATIENCE_MS);
  document.addEventListener("awake", () => {
    clearTimeout(patience);
    if (lacks) return;
    // All of it came after all, late as it was.
    document.removeEventListener("click", press, true);
    document.removeEventListener("submit", send, true);
    isPlain = false;
    heard();
  });
  // An error of a resource does not bubble; of a script it means that the script will not come.
  addEventListener("error", (event) => {
    if (event.target.tagName !== "SCRIPT") return;
    lacks = true;
    plain();
  }, true);
})();
