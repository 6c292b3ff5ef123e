// The playground: what is edited is tried after a short rest, by a question to the server; nothing is kept there. The editors are plain text areas with a
// gutter beside them, so that everything a browser knows of text still works.
import { elementOf } from "./live.js";
import { enliven } from "./console.js";

const form = document.querySelector("[data-play]");
const rest = 350; // ms without a key before what is there is tried
const base = document.body.dataset.base;

// A gutter draws the numbers of those lines that are to be seen, and what is said of them.
class Gutter {
  constructor(box) {
    this.gutter = box.querySelector(".gutter");
    this.area = box.querySelector("textarea");
    this.marks = new Map();
    this.area.addEventListener("scroll", () => this.draw());
    this.area.addEventListener("input", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.area);
    this.draw();
  }

  mark(list) {
    this.marks.clear();
    const worst = { error: 4, warning: 3, lack: 2, met: 1, hit: 1 };
    for (const m of list) {
      const old = this.marks.get(m.line);
      if (!old || worst[m.level] > worst[old.level]) this.marks.set(m.line, m);
    }
    this.draw();
  }

  draw() {
    const style = getComputedStyle(this.area);
    const height = parseFloat(style.lineHeight);
    const lines = this.area.value.split("\n").length;
    const first = Math.max(Math.floor(this.area.scrollTop / height), 0);
    const last = Math.min(first + Math.ceil(this.area.clientHeight / height) + 1, lines);
    const rows = [];
    for (let n = first + 1; n <= last; n++) {
      const row = document.createElement("span");
      const m = this.marks.get(n);
      row.textContent = n;
      if (m) {
        row.className = `at-${m.level}`;
        row.title = m.text;
      }
      rows.push(row);
    }
    this.gutter.replaceChildren(...rows);
    this.gutter.style.paddingTop = style.paddingTop;
    this.gutter.style.setProperty("--shift", `${first * height - this.area.scrollTop}px`);
  }
}

// Puts the cursor at a place of a text area, and the place into sight.
function go(id, line, column) {
  const area = document.getElementById(id);
  const lines = area.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((n, l) => n + l.length + 1, 0) + Math.max(column - 1, 0);
  const end = lines.slice(0, line).reduce((n, l) => n + l.length + 1, -1);
  area.focus();
  area.setSelectionRange(start, Math.max(start, end));
  const height = parseFloat(getComputedStyle(area).lineHeight);
  area.scrollTop = Math.max((line - 6) * height, 0);
  area.closest(".editor").scrollIntoView({ block: "nearest" });
}

// What is said of lines, as a list below the pane, for those who do not see the gutter.
function say(id, marks) {
  const list = document.querySelector(`[data-said="${id}"]`);
  const shown = marks.filter((m) => m.level === "error" || m.level === "lack").slice(0, 6);
  list.replaceChildren(...shown.map((m) => {
    const row = document.createElement("li");
    row.className = `at-${m.level}`;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain go";
    Object.assign(button.dataset, { go: id, line: m.line, column: 1 });
    button.textContent = `line ${m.line}`;
    row.append(button, ` ${m.text}`);
    return row;
  }));
}

if (form) {
  const gutters = {};
  for (const box of form.querySelectorAll("[data-editor]")) gutters[box.querySelector("textarea").id] = new Gutter(box);
  const state = document.querySelector("[data-play-state]");
  const fields = form.elements;
  let timer = 0;
  let under = null;
  let onlyHits = false;

  function ask(explain) {
    return {
      yaml: fields.yaml.value, input: fields.input.value, attrs: fields.attrs.value, after: fields.after.value, armed: fields.armed.value, explain,
    };
  }

  async function run(explain = 0) {
    clearTimeout(timer);
    under?.abort();
    const mine = under = new AbortController();
    const outcome = document.getElementById("outcome");
    outcome.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(`${base}/playground`, {
        method: "POST", signal: mine.signal, body: JSON.stringify(ask(explain)),
        headers: { "Content-Type": "application/json", Accept: "application/json", "X-Csrf-Token": fields.csrf.value },
      });
      if (answer.status === 429) { // others are trying too
        timer = setTimeout(() => run(explain), 1500);
        return;
      }
      const told = await answer.json();
      if (!answer.ok) {
        wrong([told.error, told.mend].filter(Boolean).join(" "));
        return;
      }
      show(told, explain);
    } catch (e) {
      if (e.name !== "AbortError") wrong("The console did not answer. It is tried again with the next change.");
    } finally {
      if (under === mine) document.getElementById("outcome").removeAttribute("aria-busy");
    }
  }

  function wrong(text) {
    state.textContent = text;
    state.classList.add("wrong");
  }

  function show(told, explain) {
    const old = document.getElementById("outcome");
    const open = [...old.querySelectorAll("details[open]")].map((d) => d.closest("li").id);
    const fresh = elementOf(told.html);
    for (const id of open) fresh.querySelector(`#${CSS.escape(id)} details`)?.setAttribute("open", "");
    const focused = old.contains(document.activeElement) && document.activeElement.closest("li[id]")?.id;
    fresh.classList.toggle("only-hits", onlyHits);
    const box = fresh.querySelector("[data-only-hits]");
    if (box) box.checked = onlyHits;
    enliven(fresh);
    old.replaceWith(fresh);
    const again = explain ? `r-${explain}` : focused;
    if (again) document.getElementById(again)?.focus({ preventScroll: !explain });
    gutters["p-yaml"].mark(told.marks);
    gutters["p-input"].mark(told.lines);
    say("p-yaml", told.marks);
    say("p-input", told.lines);
    state.classList.remove("wrong");
    if (state.textContent !== told.say) state.textContent = told.say;
  }

  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(run, rest);
  };
  form.addEventListener("input", (e) => {
    if (e.target.id === "p-example") return;
    if (e.target.matches("textarea")) document.getElementById("p-example").value = "";
    soon();
  });
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    run();
  });
  form.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
      e.preventDefault();
      run();
    }
  });
  document.getElementById("p-example").addEventListener("change", (e) => {
    const [id, test] = e.target.value.split("/");
    if (id) location.assign(`${base}/playground?signature=${encodeURIComponent(id)}&test=${test}`);
  });
  document.addEventListener("click", (e) => {
    const button = e.target.closest("button");
    if (button?.dataset.go) go(button.dataset.go, Number(button.dataset.line), Number(button.dataset.column));
    if (button?.dataset.explain) run(Number(button.dataset.explain));
    const link = e.target.closest('a[href^="#r-"]');
    if (link) { // a record that is hidden by the filter is shown
      const row = document.getElementById(link.hash.slice(1));
      row?.querySelector("details")?.setAttribute("open", "");
      row?.classList.add("asked");
    }
  });
  document.addEventListener("change", (e) => {
    if (!e.target.matches("[data-only-hits]")) return;
    onlyHits = e.target.checked;
    document.getElementById("outcome").classList.toggle("only-hits", onlyHits);
  });
  // A file that is dropped is pasted.
  for (const area of form.querySelectorAll("textarea")) {
    area.addEventListener("dragover", (e) => { if (e.dataTransfer.types.includes("Files")) e.preventDefault(); });
    area.addEventListener("drop", async (e) => {
      const file = e.dataTransfer.files[0];
      if (!file) return;
      e.preventDefault();
      const most = Number(area.id === "p-yaml" ? form.dataset.yamlBytes : form.dataset.inputBytes);
      area.value = (await file.slice(0, most).text());
      area.dispatchEvent(new Event("input", { bubbles: true }));
    });
  }
  run();
}
