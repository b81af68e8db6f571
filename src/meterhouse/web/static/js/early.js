/* What is pressed before the page can hear it is done once it can. A page is seen sooner than its scripts
   have come, on a slow line or a busy machine; a button that is theirs would do nothing until then. Loaded
   before all others and small; frame.js sends "awake" when everything listens. */

(() => {
  const root = document.documentElement;
  let pressed = null;

  function keep(event) {
    const button = event.target.closest?.("button");
    if (!event.isTrusted || !button?.matches("[type=button], [data-bs-toggle], [data-bs-dismiss], [hx-get]")) return;
    event.preventDefault();
    event.stopPropagation();
    pressed = button;
  }

  root.dataset.waking = "";
  document.addEventListener("click", keep, true);
  document.addEventListener("awake", () => {
    document.removeEventListener("click", keep, true);
    delete root.dataset.waking;
    if (pressed?.isConnected) pressed.click();
  });
})();
