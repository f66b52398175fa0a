// The rollout browser. Everything a reply holds goes through textContent; filters live in the address after "#".
const [STAGE, STEP, GROUP, SOURCE, TYPE, KNOWLEDGE, CAPABILITY, FLAGS, ADVANTAGES, RIGHT, TOKENS, DIFFICULTY, PROMPT, PICTURES] = Array(14).keys();
const BITS = ["mixed", "violation", "pushed_down", "all_correct", "all_wrong", "refusal", "dropped"];
const TOLD = { mixed: "", violation: "wrong at or above right", pushed_down: "correct pushed down", all_correct: "all correct", all_wrong: "all wrong", refusal: "refusal", dropped: "dropped" };
const PAGE = 60;
const $ = (id) => document.getElementById(id);
const form = $("filters"), fields = [...form.elements].filter((e) => e.name);
const chunks = document.querySelectorAll(".chunk"), pictures = document.querySelectorAll(".picture"), opened = new Map();
let index, found = [], at = 0, listed = 0, turn = 0;

function make(tag, set = {}, ...inside) {
  const node = tag === "svg" || tag === "rect" || tag === "line" ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(set)) node.setAttribute(key, value);
  node.append(...inside.map(visible));
  return node;
}

async function unpack(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return JSON.parse(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text());
}

async function chunk(number) {
  if (!opened.has(number)) {
    opened.set(number, await unpack(chunks[number].textContent));
    if (opened.size > 24) opened.delete(opened.keys().next().value);
  }
  return opened.get(number);
}

const whole = async (place) => (await chunk(Math.floor(place / index.chunk)))[place % index.chunk];
const has = (group, name) => (group[FLAGS] >> BITS.indexOf(name)) & 1;
const known = (group) => group[ADVANTAGES].filter((a) => a !== null);
const spread = (group) => (known(group).length ? Math.max(...known(group)) - Math.min(...known(group)) : 0);
const push = (group) => Math.max(0, ...known(group).map(Math.abs));
const right = (group) => [...group[RIGHT]].filter((c) => c === "1").length;
const ORDER = {
  spread: (g) => -spread(g), push: (g) => -push(g), hard: (g) => right(g) / g[RIGHT].length,
  long: (g) => -(g[TOKENS] ?? 0), difficulty: (g) => -(g[DIFFICULTY] ?? 0),
};
const under = (label, wanted) => label === wanted || label.startsWith(wanted + ".");
const number = (value) => (typeof value === "number" ? String(+value.toFixed(3)) : value === null || value === undefined ? "–" : String(value));

// --- the address ---------------------------------------------------------------------------------------------------

const address = () => new URLSearchParams(location.hash.slice(1));

function fromAddress() {
  const wanted = address();
  for (const field of fields) {
    const value = wanted.get(field.name) ?? "";
    // A value that no group has must find nothing, not everything.
    if (field.tagName === "SELECT" && ![...field.options].some((o) => o.value === value)) field.append(make("option", { value }, value));
    field.value = value;
  }
  return filter(wanted.get("at"));
}

function toAddress() {
  const now = new URLSearchParams(fields.filter((f) => f.value).map((f) => [f.name, f.value]));
  const group = index.groups[found[at]];
  if (group) now.set("at", `${index.stages[group[STAGE]]}/${group[GROUP]}`);
  history.replaceState(null, "", "#" + now);
}

// --- filters -------------------------------------------------------------------------------------------------------

async function filter(open) {
  const mine = ++turn, f = Object.fromEntries(fields.map((field) => [field.name, field.value.trim()]));
  for (const field of fields) field.classList.toggle("set", Boolean(field.value));
  $("more-filters").classList.toggle("set", fields.some((field) => field.value && $("labels").contains(field)));
  const [from, to] = (f.step || "").split("-").map(Number);
  let kept = [...index.groups.keys()].filter((place) => {
    const g = index.groups[place];
    return (!f.stage || index.stages[g[STAGE]] === f.stage) && (!f.source || g[SOURCE] === f.source) && (!f.type || g[TYPE] === f.type)
      && (!f.step || (g[STEP] >= from && g[STEP] <= (f.step.includes("-") ? to || Infinity : from)))
      && (!f.knowledge || under(g[KNOWLEDGE], f.knowledge)) && (!f.capability || under(g[CAPABILITY], f.capability)) && (!f.show || has(g, f.show));
  });
  if (f.q) kept = await search(kept, f.q.toLowerCase(), mine);
  if (mine !== turn) return;
  const key = ORDER[f.sort];
  if (key) {
    const value = new Map(kept.map((place) => [place, key(index.groups[place])]));
    kept.sort((a, b) => value.get(a) - value.get(b) || a - b);
  }
  found = kept;
  at = open ? Math.max(0, found.findIndex((place) => `${index.stages[index.groups[place][STAGE]]}/${index.groups[place][GROUP]}` === open)) : 0;
  const replies = found.reduce((sum, place) => sum + index.groups[place][RIGHT].length, 0);
  $("status").textContent = `${found.length} of ${index.groups.length} groups, ${replies} replies`;
  $("list").replaceChildren();
  listed = 0;
  do list(); while (listed <= at && listed < found.length);
  await show();
}

async function search(places, text, mine) {
  const hits = [];
  for (const [i, place] of places.entries()) {
    if (i % 512 === 0) {
      $("status").textContent = `searching … ${Math.round((100 * i) / places.length)} %`;
      await new Promise((done) => setTimeout(done));
      if (mine !== turn) return hits;
    }
    const g = await whole(place);
    if ([g.prompt, g.target, g.uid, ...g.replies.map((r) => r.reply)].some((t) => t.toLowerCase().includes(text))) hits.push(place);
  }
  return hits;
}

// --- the list ------------------------------------------------------------------------------------------------------

function list() {
  for (const place of found.slice(listed, listed + PAGE)) {
    const g = index.groups[place], mine = listed++;
    const told = `${index.stages.length > 1 ? index.stages[g[STAGE]] + " · " : ""}step ${g[STEP]} · ${right(g)}/${g[RIGHT].length} right`;
    const row = make("button", { type: "button", "data-place": mine }, make("span", {}, g[PROMPT] || g[GROUP]), spark(g), make("small", {}, `${told} · spread ${number(spread(g))}`));
    row.addEventListener("click", () => go(mine, true));
    $("list").append(make("li", {}, row));
  }
  $("more").hidden = listed >= found.length;
}

function spark(g) {
  const most = push(g) || 1, wide = 88 / g[RIGHT].length;
  const svg = make("svg", { class: "spark", viewBox: "0 0 88 26", "aria-hidden": "true" }, make("line", { x1: 0, x2: 88, y1: 13, y2: 13 }));
  g[ADVANTAGES].forEach((a, i) => {
    const tall = Math.max(1, (12 * Math.abs(a ?? 0)) / most);
    svg.append(make("rect", { class: g[RIGHT][i] === "1" ? "good" : "bad", x: i * wide, width: Math.max(1, wide - 1), y: a >= 0 ? 13 - tall : 13, height: tall }));
  });
  return svg;
}

function go(place, look = false) {
  if (place < 0 || place >= found.length) return;
  at = place;
  while (listed <= at) list();
  show();
  if (look && matchMedia("(max-width: 800px)").matches) $("detail").scrollIntoView();
}

// --- one group -----------------------------------------------------------------------------------------------------

async function show() {
  for (const row of $("list").querySelectorAll("[aria-current]")) row.removeAttribute("aria-current");
  if (!found.length) {
    $("detail").replaceChildren(make("p", { class: "notes" }, "No group fits. Clear a filter."));
    return;
  }
  toAddress();
  const place = found[at], g = index.groups[place], full = await whole(place);
  if (place !== found[at]) return;
  const row = $("list").querySelector(`[data-place="${at}"]`);
  row?.setAttribute("aria-current", "true");
  if (row && !matchMedia("(max-width: 800px)").matches) row.scrollIntoView({ block: "nearest" });
  const q = form.elements.q.value.trim();
  const chips = [`${index.stages[g[STAGE]]} · step ${g[STEP]}`, g[SOURCE], g[TYPE], full.answer_type, ...Object.values(full.labels), g[DIFFICULTY] === null ? "" : `difficulty ${number(g[DIFFICULTY])}`, full.uid];
  const flags = BITS.filter((name) => has(g, name) && TOLD[name]).map((name) => make("span", { class: "flag" }, TOLD[name]));
  const images = g[PICTURES].map((p) => (typeof p === "number" ? make("img", { src: pictures[p].textContent, alt: "the prompt's picture" }) : make("span", { class: "soft" }, `[${p}]`)));
  const previous = make("button", { type: "button" }, "← previous"), next = make("button", { type: "button" }, "next →");
  previous.addEventListener("click", () => go(at - 1));
  next.addEventListener("click", () => go(at + 1));
  const most = Math.max(1e-9, push(g)), weighted = full.replies.some((r) => (r.alpha ?? 1) !== 1);
  $("detail").replaceChildren(
    make("div", { class: "step-through" }, previous, make("span", { class: "soft" }, `${at + 1} of ${found.length}`), next),
    make("div", { class: "asked" }, ...images, make("div", {}, make("h2", {}, ...marked(full.prompt, q)), make("div", {}, "gold: ", make("b", {}, ...marked(full.target, q))),
      make("div", { class: "chips" }, ...flags, ...chips.filter(Boolean).map((text) => make("span", {}, text))))),
    make("div", { class: "group-replies" }, ...full.replies.map((r) => reply(r, most, q, weighted))),
  );
}

function reply(r, most, q, weighted) {
  const a = r.advantage, share = (50 * Math.min(1, Math.abs(a ?? 0) / most)).toFixed(1);
  const bar = make("i", { class: a < 0 ? "down" : "up", style: a < 0 ? `right:50%;width:${share}%` : `left:50%;width:${share}%` });
  const good = r.score >= 0.5;
  const figures = Object.entries({ "score r": r.score, "modulated g": r.modulated, "tokens": r.tokens, "α": weighted ? r.alpha : undefined, ...r.components }).filter(([name, value]) => value !== undefined || name in (r.components ?? {}));
  const log = Object.keys(r.log ?? {}).length ? [make("details", {}, make("summary", {}, "log"), make("pre", {}, JSON.stringify(r.log, null, 1)))] : [];
  return make("article", { class: `reply${good ? " right" : ""}${r.dropped ? " dropped" : ""}` },
    make("header", {}, make("b", { class: good ? "good" : "bad" }, good ? "✓ right" : "✗ wrong"), make("span", {}, `A ${number(a)}${r.dropped ? " · dropped" : ""}`)),
    make("div", { class: "push", title: `advantage ${number(a)}` }, bar), make("p", {}, ...(r.reply ? marked(r.reply, q) : [make("span", { class: "soft" }, "(empty)")])),
    make("dl", {}, ...figures.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, number(value))])), ...log);
}

function marked(text, q) {
  const parts = [], low = text.toLowerCase(), wanted = q.toLowerCase();
  let from = 0;
  // Some letters change length in lower case; then the places do not fit and nothing is marked.
  for (let i = wanted && low.length === text.length ? low.indexOf(wanted) : -1; i >= 0; i = low.indexOf(wanted, from)) {
    parts.push(text.slice(from, i), make("mark", {}, text.slice(i, i + q.length)));
    from = i + q.length;
  }
  return [...parts, text.slice(from)];
}

// --- start ---------------------------------------------------------------------------------------------------------

function offer(name, all, values) {
  const distinct = [...new Set(values)].filter(Boolean).sort();
  form.elements[name].append(make("option", { value: "" }, all), ...distinct.map((value) => make("option", { value }, value)));
  form.elements[name].hidden = distinct.length < 2;
}

function suggest(name, place) {
  const labels = new Set();
  for (const g of index.groups) g[place].split(".").forEach((_, i, parts) => labels.add(parts.slice(0, i + 1).join(".")));
  $(`${name}-list`).append(...[...labels].filter(Boolean).sort().map((value) => make("option", { value })));
  form.elements[name].parentElement.hidden = labels.size < 2;
}

function cycle(name) {
  form.elements[name].selectedIndex = (form.elements[name].selectedIndex + 1) % form.elements[name].options.length;
  filter();
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape") { document.activeElement.blur(); form.reset(); for (const f of fields) f.value = ""; filter(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const act = { j: () => go(at + 1), ArrowRight: () => go(at + 1), k: () => go(at - 1), ArrowLeft: () => go(at - 1), "/": () => form.elements.q.focus(), s: () => cycle("sort"), o: () => cycle("show") }[event.key];
  if (act) { event.preventDefault(); act(); }
});

(async () => {
  if (typeof DecompressionStream === "undefined") { $("status").textContent = "This browser cannot open compressed data; any from 2023 on can."; return; }
  index = await unpack($("index").textContent);
  $("notes").textContent = [`${index.groups.length} groups of ${index.stages.join(", ")}`, ...index.notes].join(" · ");
  offer("stage", "all stages", index.stages);
  offer("source", "all sources", index.groups.map((g) => g[SOURCE]));
  offer("type", "all types", index.groups.map((g) => g[TYPE]));
  suggest("knowledge", KNOWLEDGE);
  suggest("capability", CAPABILITY);
  let pause;
  form.addEventListener("input", (event) => { clearTimeout(pause); pause = setTimeout(() => filter(), event.target.name === "q" ? 250 : 0); });
  form.addEventListener("submit", (event) => event.preventDefault());
  $("clear").addEventListener("click", () => { for (const f of fields) f.value = ""; filter(); });
  $("more").addEventListener("click", list);
  $("more-filters").addEventListener("click", (event) => event.target.setAttribute("aria-expanded", String($("labels").classList.toggle("open"))));
  addEventListener("hashchange", fromAddress);
  await fromAddress();
  document.body.dataset.ready = "true";
})();
