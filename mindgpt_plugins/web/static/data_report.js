// The tree explorer and the filters of the sample. All texts go in as text, never as HTML.
const make = (tag, props = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
};
const whole = (n) => Math.round(n).toLocaleString("en");
const percent = (a, b) => b ? `${(100 * a / b).toFixed(a === b || a === 0 ? 0 : 1)} %` : "–";

// ---- the explorer ----
const [NAME, PARENT, TOPICS, COVERED, PICTURES, GENERATED, KEPT] = [0, 1, 2, 3, 4, 5, 6];
const trees = JSON.parse(document.getElementById("trees").textContent);
for (const tree of Object.values(trees)) {
  tree.children = [[]];  // of node i at i + 1; the root is node -1
  tree.nodes.forEach((node, i) => {
    node[NAME] = visible(node[NAME]);
    while (node.length < 7) node.push(0);
    tree.children[i + 1] = [];
    tree.children[node[PARENT] + 1].push(i);
  });
  tree.root = ["All", -2, 0, 0, 0, 0, 0];
  for (const i of tree.children[0]) for (let k = TOPICS; k <= KEPT; k++) tree.root[k] += tree.nodes[i][k];
}
const state = { dimension: "knowledge", at: -1, colour: "share", sort: "short", up: false, find: "", rows: 100 };
const tree = () => trees[state.dimension];
const node = (i) => i < 0 ? tree().root : tree().nodes[i];
const share = (n) => tree().root[KEPT] * n[TOPICS] / Math.max(1, tree().root[TOPICS]);
const COLUMNS = {
  name: ["label", (n) => n[NAME].toLowerCase(), (n) => n[NAME]],
  topics: ["topics", (n) => n[TOPICS], (n) => whole(n[TOPICS])],
  covered: ["covered", (n) => n[COVERED] / n[TOPICS], (n) => percent(n[COVERED], n[TOPICS])],
  pictures: ["pictures", (n) => n[PICTURES], (n) => whole(n[PICTURES])],
  generated: ["generated", (n) => n[GENERATED], (n) => whole(n[GENERATED])],
  kept: ["kept", (n) => n[KEPT], (n) => whole(n[KEPT])],
  acceptance: ["acceptance", (n) => n[GENERATED] ? n[KEPT] / n[GENERATED] : 2, (n) => percent(n[KEPT], n[GENERATED])],
  short: ["short", (n) => share(n) - n[KEPT], (n) => { const s = share(n) - n[KEPT]; return s < 0.05 ? "–" : s >= 10 ? whole(s) : s.toFixed(1); }],
};
// 0 thin … 1 plenty; null where there is nothing to say.
const COLOURS = {
  share: ["kept items beside an even share", (n) => share(n) ? Math.min(1, n[KEPT] / share(n) / 2) : null, "none", "twice the share"],
  covered: ["topics covered", (n) => n[COVERED] / n[TOPICS], "0 %", "100 %"],
  acceptance: ["acceptance", (n) => n[GENERATED] ? n[KEPT] / n[GENERATED] : null, "0 %", "100 %"],
  pictures: ["pictures per topic", (n) => Math.min(1, n[PICTURES] / n[TOPICS] / 2), "0", "2 or more"],
};
const shade = (t) => t === null ? "var(--card)"
  : `color-mix(in srgb, var(--c${t < 0.5 ? 1 : 0}) ${(Math.abs(t - 0.5) * 130).toFixed(0)}%, var(--card))`;

// Squarified treemap (Bruls, Huizing, van Wijk 2000): rectangles in proportion to `size`, as square as they get.
function squares(items, size, x, y, w, h) {
  const placed = [], todo = [...items].sort((a, b) => size(b) - size(a));
  let left = todo.reduce((sum, i) => sum + size(i), 0);
  while (todo.length && left > 0 && w > 0.5 && h > 0.5) {
    const side = Math.min(w, h), unit = w * h / left, row = [];
    let sum = 0, worst = Infinity;
    while (todo.length) {
      const next = sum + size(todo[0]) * unit;
      const areas = [...row, todo[0]].map((i) => size(i) * unit);
      const ratio = Math.max(side * side * Math.max(...areas) / (next * next), next * next / (side * side * Math.min(...areas)));
      if (row.length && ratio > worst) break;
      worst = ratio; sum = next; row.push(todo.shift());
    }
    const thick = sum / side;
    let at = 0;
    for (const i of row) {
      const long = size(i) * unit / thick;
      placed.push(w >= h ? [i, x, y + at, thick, long] : [i, x + at, y, long, thick]);
      at += long; left -= size(i);
    }
    if (w >= h) { x += thick; w -= thick; } else { y += thick; h -= thick; }
  }
  return placed;
}

function tip(i) {
  const n = node(i), text = visible(tree().definitions[i]);
  return `${n[NAME]}\n${text ? text + "\n" : ""}topics ${whole(n[TOPICS])}, covered ${percent(n[COVERED], n[TOPICS])}\n`
    + (state.dimension === "knowledge" ? `pictures ${whole(n[PICTURES])}\n` : "")
    + `generated ${whole(n[GENERATED])}, kept ${whole(n[KEPT])} (${percent(n[KEPT], n[GENERATED])})\nshort ${COLUMNS.short[2](n)}`;
}

function field(i, x, y, w, h, kind) {
  const box = make("div", { className: kind, title: tip(i) });
  Object.assign(box.style, { left: `${x}px`, top: `${y}px`, width: `${w}px`, height: `${h}px`, background: shade(COLOURS[state.colour][1](node(i))) });
  if (w > 34 && h > 13) box.append(node(i)[NAME]);
  box.onclick = () => go(tree().children[i + 1].length ? i : node(i)[PARENT]);
  return box;
}

function map(host) {
  const wide = host.clientWidth, high = host.clientHeight, size = (i) => Math.max(1, node(i)[TOPICS]);
  const children = tree().children[state.at + 1];
  for (const [i, x, y, w, h] of squares(children, size, 0, 0, wide, high)) {
    const below = tree().children[i + 1];
    // Fields of the next level inside, as long as they can be told apart.
    if (below.length && w > 60 && h > 40 && w * h / below.length > 60) {
      for (const inner of squares(below, size, x, y + 17, w, h - 17)) host.append(field(...inner, "inner"));
      const head = field(i, x, y, w, 17, "group");
      host.append(head);
    } else host.append(field(i, x, y, w, h, ""));
  }
}

function rows() {
  if (!state.find) return [...tree().children[state.at + 1]];
  const wanted = state.find.toLowerCase(), found = [];
  tree().nodes.forEach((n, i) => { if (n[NAME].toLowerCase().includes(wanted)) found.push(i); });
  return found;
}

function path(i) {
  const found = [];
  for (; i >= 0; i = node(i)[PARENT]) found.unshift(i);
  return found;
}

function listing(host) {
  const columns = Object.entries(COLUMNS).filter(([key]) => key !== "pictures" || state.dimension === "knowledge");
  const key = COLUMNS[state.sort][1], sign = state.up ? 1 : -1;
  const all = rows().sort((a, b) => {
    const [p, q] = [key(node(a)), key(node(b))];
    return sign * (p < q ? -1 : p > q ? 1 : 0) || a - b;
  });
  const head = make("tr", {}, ...columns.map(([name, [label]]) => make("th", {
    className: (name === "name" ? "" : "num") + (name === state.sort ? " on" : ""), textContent: label + (name === state.sort ? (state.up ? " ↑" : " ↓") : ""),
    onclick: () => { state.up = state.sort === name ? !state.up : name === "name"; state.sort = name; show(); },
  })));
  const body = all.slice(0, state.rows).map((i) => {
    const name = state.find ? path(i).map((j) => node(j)[NAME]).join(" › ") : node(i)[NAME];
    return make("tr", { title: tip(i), onclick: () => go(tree().children[i + 1].length ? i : node(i)[PARENT]) },
      make("th", { textContent: name }), ...columns.slice(1).map(([, [, , text]]) => make("td", { className: "num", textContent: text(node(i)) })));
  });
  host.append(make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
  if (all.length > state.rows) host.append(make("div", { className: "tools" }, make("button", {
    textContent: `Show ${whole(Math.min(200, all.length - state.rows))} more of ${whole(all.length)}`, onclick: () => { state.rows += 200; show(); } })));
}

function go(i) { state.at = i; state.find = ""; state.rows = 100; show(); }

const explorer = document.getElementById("explorer");
const search = make("input", { type: "search", placeholder: "find a label" });
search.oninput = () => { state.find = search.value.trim(); state.rows = 100; show(); };

function show() {
  if (!state.find && search.value) search.value = "";
  const choose = make("select", { onchange: () => { state.colour = choose.value; show(); } },
    ...Object.entries(COLOURS).filter(([key]) => key !== "pictures" || state.dimension === "knowledge")
      .map(([key, [label]]) => make("option", { value: key, textContent: label, selected: key === state.colour })));
  const [, , low, high] = COLOURS[state.colour];
  const tabs = Object.keys(trees).map((name) => make("button", { textContent: name, className: name === state.dimension ? "on" : "",
    onclick: () => { state.dimension = name; if (state.colour === "pictures") state.colour = "share"; if (state.sort === "pictures") state.sort = "short"; go(-1); } }));
  const crumbs = make("div", { className: "crumbs" }, make("button", { textContent: "All", onclick: () => go(-1) }));
  for (const i of path(state.at)) crumbs.append(" › ", make("button", { textContent: node(i)[NAME], onclick: () => go(i) }));
  const host = make("div", { className: "map" }), list = make("div", { className: "scroll" });
  const focused = document.activeElement === search;
  explorer.replaceChildren(
    make("div", { className: "tools" }, ...tabs, make("label", {}, "colour ", choose),
      make("span", { className: "scale" }, low, make("i"), high), search),
    crumbs, host, list);
  if (focused) search.focus();
  map(host); listing(list);
}
show();
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; show(); } });

// ---- the sample ----
const form = document.getElementById("filters");
if (form) {
  const cards = [...document.querySelectorAll("#samples .example")];
  const choose = () => {
    const wanted = Object.fromEntries(new FormData(form));
    let left = 0;
    for (const card of cards) {
      const fits = ["source", "type", "capability", "knowledge"].every((key) => !wanted[key] || card.dataset[key] === wanted[key])
        && (!wanted.text || card.textContent.toLowerCase().includes(wanted.text.toLowerCase()));
      card.hidden = !fits; left += fits;
    }
    form.querySelector("output").textContent = left === cards.length ? "" : `${left} of ${cards.length}`;
  };
  form.addEventListener("input", choose);
  form.addEventListener("submit", (event) => event.preventDefault());
}
