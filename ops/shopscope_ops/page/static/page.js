// What has to happen in the browser: the colour scheme before the first paint, keys in lists, and telling the server
// whether anybody looks.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;

  function chosen() {
    const saved = localStorage.getItem("shopscope-scheme");
    return saved === "dark" || saved === "light" ? saved : null;
  }

  function paint() {
    const scheme = chosen() ?? (system.matches ? "dark" : "light");
    root.dataset.scheme = scheme;
    for (const button of document.querySelectorAll("[data-scheme-toggle]")) {
      button.setAttribute("aria-pressed", String(scheme === "dark"));
    }
  }

  function toggle() {
    const wanted = root.dataset.scheme === "dark" ? "light" : "dark";
    // asking for what the system wants anyway means following it again
    if (wanted === (system.matches ? "dark" : "light")) localStorage.removeItem("shopscope-scheme");
    else localStorage.setItem("shopscope-scheme", wanted);
    paint();
  }

  // the up and down keys walk through rows that open, as in any list
  function walk(event) {
    const rows = event.target.closest?.("[data-walk]");
    if (!rows || event.altKey || event.ctrlKey || event.metaKey) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const stops = [...rows.querySelectorAll("summary, a[data-stop]")];
    const next = stops[stops.indexOf(event.target) + step];
    if (!step || stops.indexOf(event.target) < 0 || !next) return;
    event.preventDefault();
    next.focus();
  }

  paint();
  system.addEventListener("change", paint);
  addEventListener("storage", paint);
  addEventListener("click", (event) => event.target.closest?.("[data-scheme-toggle]") && toggle());
  addEventListener("keydown", walk);
  document.addEventListener("visibilitychange", () => window.emitEvent?.("shopscope_look", !document.hidden));
  // the toggle is drawn later than this script runs
  // the button is drawn later than this script runs
  new MutationObserver((_, observer) => {
    if (!document.querySelector("[data-scheme-toggle]")) return;
    observer.disconnect();
    paint();
  }).observe(root, { childList: true, subtree: true });
})();
