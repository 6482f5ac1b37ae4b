"use strict";

// Chooses the panel of a cell by label and latent dimension, and filters the table of numbers. Nothing is fetched.

for (const explorer of document.querySelectorAll(".explorer")) {
  const dimensions = explorer.dataset.dimensions.split(" ");
  const panels = [...explorer.querySelectorAll(".panel")];
  const slider = explorer.querySelector("input[type=range]");
  const shown = explorer.querySelector("output");
  const absent = explorer.querySelector(".absent");
  const [fewer, more] = explorer.querySelectorAll(".step");

  const label = () => (explorer.querySelector("select") ?? explorer.querySelector("input[type=radio]:checked")).value;

  const show = () => {
    const dimension = dimensions[slider.value];
    shown.value = dimension;
    slider.setAttribute("aria-valuetext", `D = ${dimension}`);
    fewer.disabled = slider.value === slider.min;
    more.disabled = slider.value === slider.max;
    let found = false;
    for (const panel of panels) {
      panel.hidden = panel.dataset.label !== label() || panel.dataset.dimension !== dimension;
      found ||= !panel.hidden;
    }
    absent.hidden = found;
  };

  const step = (by) => () => {
    slider.value = Number(slider.value) + by;
    show();
  };

  fewer.addEventListener("click", step(-1));
  more.addEventListener("click", step(1));
  explorer.addEventListener("input", show);
  explorer.querySelector(".controls").hidden = false;
  show();
}

for (const numbers of document.querySelectorAll(".numbers")) {
  const filter = numbers.querySelector("input[type=search]");
  const rows = [...numbers.querySelectorAll("tbody tr")].map((row) => [row, row.textContent.toLowerCase()]);
  const groups = [...numbers.querySelectorAll("details")];
  const count = numbers.querySelector("[role=status]");

  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let kept = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      kept += row.hidden ? 0 : 1;
    }
    for (const group of groups) {
      const matches = group.querySelector("tbody tr:not([hidden])") !== null;
      group.hidden = !matches;
      group.open = matches && words.length > 0;
    }
    count.textContent = words.length ? `${kept} of ${rows.length} numbers` : "";
  };

  let waiting;
  filter.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 150);
  });
  filter.closest(".controls").hidden = false;
}
