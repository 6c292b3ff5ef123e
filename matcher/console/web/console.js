// What every page does: tell times anew, follow what changes, keys, theme, copying. A page can be read without any of it.
import { follow } from "./live.js";
import { listen } from "./keys.js";
import { tellTimes } from "./times.js";

const root = document.documentElement;
const body = document.body;

for (const e of document.querySelectorAll("[data-theme-toggle], [data-help]")) e.hidden = false;

function showTheme() {
  const now = root.dataset.theme || "system";
  for (const b of document.querySelectorAll("[data-theme-toggle]")) b.textContent = `Theme: ${now}`;
}

export function nextTheme() {
  const next = { light: "dark", dark: "", "": "light" }[root.dataset.theme || ""];
  if (next) root.dataset.theme = next;
  else delete root.dataset.theme;
  document.cookie = `forewarn-theme=${next}; path=${body.dataset.base}/; max-age=${next ? 31536000 : 0}; samesite=strict`;
  showTheme();
}

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  } catch { // without HTTPS a browser may refuse: the text is selected, to be copied by hand
    getSelection().selectAllChildren(code);
  }
}

// Buttons that need this script are hidden without it; new ones come with changes.
export function enliven(within) {
  for (const b of within.querySelectorAll("[data-copy]")) b.hidden = false;
  tellTimes(within);
}

document.addEventListener("click", (e) => {
  const button = e.target.closest("button");
  if (!button) return;
  if (button.matches("[data-copy]")) copy(button);
  if (button.matches("[data-theme-toggle]")) nextTheme();
  if (button.matches("[data-help]")) document.getElementById("help").showModal();
});

const filter = document.querySelector("[data-filter]");
if (filter) {
  filter.addEventListener("change", () => filter.requestSubmit());
  filter.addEventListener("submit", () => { // an address without what is empty is shorter to pass on
    for (const e of filter.elements) if (e.name && !e.value) e.disabled = true;
  });
  addEventListener("pageshow", () => { for (const e of filter.elements) e.disabled = false; });
}

showTheme();
enliven(document);
setInterval(() => tellTimes(document), 5000);
listen(nextTheme);
if ("live" in body.dataset) follow(enliven);
