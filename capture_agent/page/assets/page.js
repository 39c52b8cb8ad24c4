// Comfort for pages that work without it: live lists, messages beside the ladder, keys.
"use strict";

const find = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

async function part(address) {
  const url = new URL(address, location.href);
  url.searchParams.set("part", "1");
  const answer = await fetch(url, { credentials: "same-origin" });
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!answer.ok) throw new Error(find("h1", parsed)?.textContent ?? answer.statusText);
  return [...parsed.body.childNodes].map((node) => document.importNode(node, true));
}

// Colours
find("#theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* for this page alone */ }
});

// Time zone: the browser's own is offered, too.
const zone = find("#zone");
if (zone) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (own && !all("option", zone).some((one) => one.value === own)) zone.add(new Option(own, own), 2);
  zone.addEventListener("change", () => {
    const url = new URL(location.href);
    url.searchParams.set("zone", zone.value);
    location.href = url;
  });
}

// Links to share
all("[data-copy]").forEach((link) => link.addEventListener("click", async (event) => {
  if (!navigator.clipboard) return;
  event.preventDefault();
  const url = new URL(link.href);
  if (chosen) url.searchParams.set("n", chosen);
  try {
    await navigator.clipboard.writeText(url.href);
    const text = link.textContent;
    link.textContent = "Copied";
    setTimeout(() => { link.textContent = text; }, 1500);
  } catch { location.href = url; }
}));

// Search: a choice is a search
const form = find(".search");
if (form) all("input[type=radio], select", form).forEach((one) => one.addEventListener("change", () => form.requestSubmit()));
form?.addEventListener("submit", () => all("input, select", form).forEach((one) => {
  if (!one.value || (one.name === "show" && one.value === "all") || (one.name === "sort" && one.value === "-first")) one.disabled = true;
}));
addEventListener("pageshow", () => form && all("input, select", form).forEach((one) => { one.disabled = false; }));

// Live list
const list = find("#list"), live = find("#live"), pause = find("#pause");
let paused = false, stale = 0, loading = false, calm = "Live";

// What the source says of itself: is it read now, and what is wrong?
function tell({ live: lasting, reading, problems }) {
  find("#problems").replaceChildren(...problems.map((text) => {
    const line = document.createElement("p");
    line.className = "problem";
    line.textContent = text;
    return line;
  }));
  calm = lasting ? (reading ? "Live" : "Not reading") : (reading ? "Reading" : "All is read");
  live.classList.toggle("off", lasting && !reading);
  if (!paused) live.textContent = calm;
}

async function reload() {
  if (loading) return;
  loading = true;
  try {
    do {
      stale = 0;
      const key = find("tr.at", list)?.dataset.key, focused = list.contains(document.activeElement);
      list.replaceChildren(...await part(live.dataset.part));
      const row = key && all("tr[data-key]", list).find((one) => one.dataset.key === key);
      if (row) go(row, focused);
    } while (stale && !paused);
    live.textContent = calm;
  } catch (error) {
    live.textContent = error.message;
  } finally {
    loading = false;
  }
}

// A browser goes on after a connection that broke, but not after an answer such as 503.
function follow() {
  const events = new EventSource(live.dataset.events);
  events.addEventListener("calls", (event) => {
    stale += JSON.parse(event.data).calls.length;
    if (paused) live.textContent = `Paused: ${stale} changes`;
    else reload();
  });
  events.addEventListener("state", (event) => {
    tell(JSON.parse(event.data));
    if (stale && !paused) reload();
  });
  events.addEventListener("open", () => { live.classList.add("on"); live.dataset.open = "1"; });
  events.addEventListener("error", () => {
    live.classList.remove("on");
    stale += 1; // the server may have been started again
    if (!paused) live.textContent = "No connection";
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
  });
  addEventListener("pagehide", () => events.close());
}

if (live?.dataset.events) {
  follow();
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", paused);
    live.classList.toggle("paused", paused);
    live.textContent = paused ? "Paused" : calm;
    if (!paused && stale) reload();
  });
}

function go(row, focus = true) {
  all(".at").forEach((one) => one.classList.remove("at"));
  row.classList.add("at");
  if (focus) (find("a.open", row) ?? row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

list?.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-key]");
  if (row && !event.target.closest("a") && !getSelection().toString()) find("a.open", row).click();
});

// Messages beside the ladder
const pane = find("#pane"), rows = find(".rows");
let chosen = 0, asked = 0;

async function show(address) {
  const own = ++asked; // an answer that comes after a later one is not shown
  try {
    const nodes = await part(address);
    if (own !== asked) return;
    pane.replaceChildren(...nodes);
    pane.scrollTop = 0;
  } catch (error) {
    if (own === asked) pane.textContent = error.message;
  }
}

function select(row, focus = true) {
  if (!row) return;
  chosen = Number(row.dataset.number);
  all("a.row.at", rows).forEach((one) => { one.classList.remove("at"); one.removeAttribute("aria-current"); });
  row.classList.add("at");
  row.setAttribute("aria-current", "true");
  if (focus) row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest", inline: "nearest" });
  const url = new URL(location.href);
  url.searchParams.set("n", chosen);
  history.replaceState(null, "", url);
  show(row.getAttribute("href"));
}

const rowOf = (number) => find(`a.row[data-number="${number}"]`, rows);

if (pane && rows) {
  rows.addEventListener("click", (event) => {
    const row = event.target.closest("a.row");
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    select(row, false);
  });
  pane.addEventListener("submit", (event) => {
    event.preventDefault();
    show(`/difference?${new URLSearchParams(new FormData(event.target))}`);
  });
  pane.addEventListener("click", (event) => {
    const back = event.target.closest("a.back");
    if (!back) return;
    event.preventDefault();
    select(rowOf(back.dataset.number));
  });
  select(rowOf(rows.dataset.selected), false);
}

// The picture as PNG: drawn here
const png = find("#png");
if (png) {
  png.hidden = false;
  png.addEventListener("click", async () => {
    const source = await (await fetch(png.dataset.picture)).text();
    const picture = new Image();
    const address = URL.createObjectURL(new Blob([source], { type: "image/svg+xml" }));
    picture.addEventListener("load", () => {
      const scale = Math.min(2, 16000 / Math.max(picture.width, picture.height));
      const canvas = document.createElement("canvas");
      canvas.width = picture.width * scale;
      canvas.height = picture.height * scale;
      const context = canvas.getContext("2d");
      context.fillStyle = matchMedia("(prefers-color-scheme: dark)").matches ? "#14171c" : "#fff";
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(picture, 0, 0, canvas.width, canvas.height);
      URL.revokeObjectURL(address);
      canvas.toBlob((blob) => {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(blob);
        link.download = "call.png";
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      });
    });
    picture.src = address;
  });
}

// Keys
const help = find("#help");
find("#help-button").addEventListener("click", () => help.showModal());

function step(by) {
  if (rows) {
    select(rowOf(chosen + by));
    return;
  }
  const lines = all("tr[data-key]");
  if (!lines.length) return;
  const at = lines.findIndex((one) => one.classList.contains("at"));
  go(lines[Math.min(lines.length - 1, Math.max(0, at + by))]);
}

const keys = {
  "/": () => { const search = find("#search"); search ? search.select() : (location.href = "/"); search?.focus(); },
  "j": () => step(1),
  "k": () => step(-1),
  "?": () => help.showModal(),
  "l": () => find("#legs")?.click(),
  "t": () => { const modes = all("a.mode"); modes[(modes.findIndex((one) => one.ariaCurrent) + 1) % modes.length]?.click(); },
  "d": () => find(".compare", pane ?? document)?.requestSubmit(),
  "p": () => pause?.click(),
  "s": () => find('nav a[href^="/statistics"]').click(),
  "u": () => find("header nav a").click(),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const action = keys[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});
