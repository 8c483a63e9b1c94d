/* Shows a chart's read-outs beside the pointer, and by the arrow keys. Without it the browser shows
   them by itself, as titles. No less-than sign and no ampersand: the page is XML as well. */
"use strict";
for (const plot of document.querySelectorAll(".plot")) {
  const tiles = [...plot.querySelectorAll(".tile")];
  const area = plot.querySelector(".area");
  const cursor = plot.querySelector(".cursor");
  const box = plot.querySelector(".readout");
  if (tiles.length === 0) continue;
  const places = tiles.map((tile) => parseFloat(tile.dataset.at));
  const texts = tiles.map((tile) => {
    const title = tile.querySelector("title");
    title.remove();
    return title.textContent;
  });
  let shown = -1;
  const show = (index) => {
    shown = Math.max(0, Math.min(tiles.length - 1, index));
    const at = places[shown];
    cursor.setAttribute("x1", at + "%");
    cursor.setAttribute("x2", at + "%");
    box.textContent = texts[shown];
    box.classList.toggle("left", at > 50);
    box.style.setProperty("--at", at + "%");
    plot.classList.add("active");
    box.hidden = false;
  };
  const hide = () => {
    plot.classList.remove("active");
    box.hidden = true;
    shown = -1;
  };
  const nearest = (event) => {
    const frame = area.getBoundingClientRect();
    const at = (100 * (event.clientX - frame.left)) / frame.width;
    const distance = (index) => Math.abs(places[index] - at);
    return places.reduce((best, _, index) => (distance(best) > distance(index) ? index : best), 0);
  };
  area.setAttribute("tabindex", "0");
  area.addEventListener("pointermove", (event) => show(nearest(event)));
  area.addEventListener("pointerdown", (event) => show(nearest(event)));
  area.addEventListener("pointerleave", hide);
  area.addEventListener("blur", hide);
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    show(shown + step);
  });
}
