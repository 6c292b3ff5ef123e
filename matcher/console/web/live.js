// Following what changes, by server-sent events of the page's own address. Each message replaces, inserts or removes one element.
import { setClock } from "./times.js";

// The one place where text becomes markup: the server made and escaped it.
const policy = window.trustedTypes
  ? trustedTypes.createPolicy("forewarn", { createHTML: (s) => s })
  : { createHTML: (s) => s };

export function elementOf(html) {
  const t = document.createElement("template");
  t.innerHTML = policy.createHTML(html);
  return t.content.firstElementChild;
}

// A form that somebody is filling in stays as it is.
const busy = (e) => e.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");

function replace(old, fresh) {
  const had = old.contains(document.activeElement) ? document.activeElement : null;
  for (const d of fresh.querySelectorAll("details[id]")) {
    const before = document.getElementById(d.id);
    if (before) d.open = before.open;
  }
  old.replaceWith(fresh);
  if (!had) return;
  const again = had.id ? document.getElementById(had.id)
    : had.getAttribute("href") ? [...fresh.querySelectorAll("a")].find((a) => a.getAttribute("href") === had.getAttribute("href"))
      : fresh.querySelector(had.tagName);
  (again || fresh.querySelector("a, button, [tabindex]") || document.getElementById("main")).focus({ preventScroll: true });
}

function insert(list, fresh, rank) {
  const after = [...list.children].find((e) => e.id !== fresh.id && e.dataset.rank > rank);
  list.insertBefore(fresh, after || null);
}

function keep(list, ids) {
  const wanted = new Set(ids);
  for (const e of [...list.children]) {
    if (wanted.has(e.id)) continue;
    const focused = e.contains(document.activeElement);
    const next = e.nextElementSibling || e.previousElementSibling;
    e.remove();
    if (focused) (next?.querySelector("a") || document.getElementById("main")).focus({ preventScroll: true });
  }
}

function apply(m, enliven) {
  const old = document.getElementById(m.id);
  if (m.keep) {
    if (old) keep(old, m.keep);
    return;
  }
  if (old && busy(old)) return;
  if (!m.html) {
    old?.remove();
    return;
  }
  const fresh = elementOf(m.html);
  if (old && old.dataset.was === m.html) return;
  enliven(fresh);
  fresh.dataset.was = m.html;
  if (m.into) fresh.classList.add("fresh");
  const list = m.into && document.getElementById(m.into);
  if (old) {
    replace(old, fresh);
    if (list && old.dataset.rank !== m.rank) {
      const had = fresh.contains(document.activeElement) ? document.activeElement : null;
      insert(list, fresh, m.rank);
      had?.focus({ preventScroll: true });
    }
  } else if (list) {
    insert(list, fresh, m.rank);
  }
  if (m.say) say(m.say);
}

const waiting = [];
let saying = 0;

// What is read aloud waits for a moment, so that a storm is one sentence and not fifty.
function say(text) {
  waiting.push(text);
  clearTimeout(saying);
  saying = setTimeout(() => {
    const all = waiting.splice(0);
    document.getElementById("said").textContent = all.length > 3 ? `${all.length} warnings changed. ${all[0]}` : all.join(". ");
  }, 600);
}

// The page's own regions, loaded anew: when it is of another console than the one that answers now.
async function reload(enliven) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return location.reload();
  const page = new DOMParser().parseFromString(policy.createHTML(await answer.text()), "text/html");
  const fresh = page.getElementById("main");
  enliven(fresh);
  if (!busy(document.getElementById("main"))) document.getElementById("main").replaceChildren(...fresh.childNodes);
}

// A browser holds six connections to a console at most, of all its pages together. A page that nobody looks at gives its own back after a while, and goes on where it was when it is
// looked at again.
const patience = 60000;

export function follow(enliven) {
  let source = null;
  let leaving = 0;
  const lost = (is) => { for (const e of document.querySelectorAll(".lost-link")) e.hidden = !is; };

  function open() {
    const address = new URL(location.href);
    address.hash = "";
    address.searchParams.set("since", document.body.dataset.told || document.body.dataset.since);
    source = new EventSource(address);
    source.addEventListener("open", () => lost(false));
    source.addEventListener("error", () => {
      lost(true);
      // A browser gives up for good when it is answered with an error, such as while the console starts again.
      if (source?.readyState === EventSource.CLOSED) setTimeout(() => { if (!document.hidden) location.reload(); }, 15000);
    });
    source.addEventListener("change", (e) => apply(JSON.parse(e.data), enliven));
    source.addEventListener("pulse", (e) => {
      const m = JSON.parse(e.data);
      setClock(m.now);
      apply({ id: "pulse", html: m.html }, enliven);
      document.body.dataset.told = e.lastEventId;
    });
    source.addEventListener("reset", () => { reload(enliven); });
  }

  function close() {
    source?.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(leaving);
    if (document.hidden) leaving = setTimeout(close, patience);
    else if (!source) open();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (e) => { if (e.persisted) location.reload(); });
  open();
}
