// Moves a cursor over a chart and shows the nearest values in its legend; the page is complete without it.
for (const figure of document.querySelectorAll("[data-lines]")) {
  const lines = JSON.parse(figure.dataset.lines), svg = figure.querySelector("svg");
  const cursor = svg.querySelector(".cursor"), outputs = figure.querySelectorAll("output");
  const show = (at) => lines.forEach((points, i) => {
    const p = at === null ? points.at(-1) : points.reduce((a, b) => Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a);
    outputs[i].textContent = at === null ? p[2] : `${p[2]} @ ${p[1]}`;
  });
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), at = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
    cursor.setAttribute("x1", at); cursor.setAttribute("x2", at); show(at);
  });
  svg.addEventListener("pointerleave", () => { cursor.setAttribute("x1", -9); cursor.setAttribute("x2", -9); show(null); });
}
