// Keys. They can be left out: people who speak to their browser, or whose hands are not steady, turn them off in the help.
const off = "forewarn-keys-off";
const isOff = () => localStorage.getItem(off) === "yes";

// What j and k go through: the links of cards, or else the rows of tables.
function stops() {
  const links = [...document.querySelectorAll("main a.open")];
  return links.length ? links : [...document.querySelectorAll("main .scroll")];
}

function step(by) {
  const all = stops();
  if (!all.length) return;
  const at = all.findIndex((e) => e === document.activeElement || e.closest("li, article")?.contains(document.activeElement));
  const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1);
  all[next].focus();
  all[next].closest("li")?.scrollIntoView({ block: "nearest" });
}

export function listen(nextTheme) {
  const help = document.getElementById("help");
  if (!help) return;
  const box = help.querySelector("[data-keys-off]");
  box.checked = isOff();
  box.addEventListener("change", () => localStorage.setItem(off, box.checked ? "yes" : "no"));

  let afterG = 0;
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented || help.open) return;
    if (e.target.closest("input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable]")) {
      if (e.key === "Escape") { // what was written is not meant
        if (e.target.closest("[data-filter]") && "defaultValue" in e.target) e.target.value = e.target.defaultValue;
        e.target.blur();
      }
      return;
    }
    if (document.activeElement?.closest(".card, .ended") && (e.key === "ArrowDown" || e.key === "ArrowUp")) {
      e.preventDefault();
      step(e.key === "ArrowDown" ? 1 : -1);
      return;
    }
    if (isOff() && e.key !== "?") return;
    if (Date.now() - afterG < 1500) {
      afterG = 0;
      const link = [...document.querySelectorAll("nav [data-key]")].find((a) => a.dataset.key === e.key);
      if (link) {
        e.preventDefault();
        link.click();
        return;
      }
    }
    const act = {
      j: () => step(1), k: () => step(-1), g: () => { afterG = Date.now(); }, t: nextTheme,
      "/": () => document.querySelector("[data-search]")?.focus(), "?": () => help.showModal(),
    }[e.key];
    if (!act) return;
    e.preventDefault();
    act();
  });
}
