// Times that say how far from now they are. The server's clock counts, which in a recording that is played is not the wall's.
let ahead = Number(document.body.dataset.now) - Date.now();

export function setClock(now) { ahead = now - Date.now(); }

// As span and relative of the server say it.
function span(seconds) {
  const s = Math.abs(seconds);
  if (s < 1) return "less than 1 s";
  if (s < 100) return `${Math.round(s)} s`;
  if (s < 6000) return `${Math.round(s / 60)} min`;
  const h = s / 3600;
  if (h < 48) return h < 10 && Math.round(h * 10) !== Math.round(h) * 10 ? `${h.toFixed(1)} h` : `${Math.round(h)} h`;
  return `${Math.round(h / 24)} days`;
}

export function relative(seconds) {
  if (Math.abs(seconds) < 1) return "now";
  return seconds > 0 ? `in ${span(seconds)}` : `${span(seconds)} ago`;
}

export function tellTimes(within) {
  const now = Date.now();
  for (const t of within.querySelectorAll("[data-rel]")) {
    const clock = t.dataset.rel === "wall" ? now : now + ahead;
    const text = relative((Date.parse(t.getAttribute("datetime")) - clock) / 1000);
    if (t.textContent !== text) t.textContent = text;
  }
}
