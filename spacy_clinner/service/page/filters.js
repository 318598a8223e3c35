// Switches for layers and labels, and the least confidence; each with how many findings it shows.

import { count, el } from "./dom.js";
import { isShown, isSure } from "./findings.js";

/** RETURNS show(layers, findings, filter), which draws; update(findings, filter): the counts. */
export function createFilters(root, color, onChange) {
  const output = el("output", { for: "least" });
  const shown = el("p", { class: "count" });
  const slider = el("input", {
    type: "range",
    id: "least",
    min: "0",
    max: "1",
    step: "0.01",
    value: "0",
    on: { input: () => onChange({ least: Number(slider.value) }) },
  });
  const switches = el("div", { class: "layers" });
  root.append(
    el("div", { class: "slider" }, el("label", { for: "least", text: "Confidence at least" }), output, slider),
    shown,
    switches,
  );
  let counters = [];
  let drawn = "";

  function show(layers, findings, filter) {
    const labels = new Map(layers.map((layer) => [layer, new Map()]));
    for (const finding of findings) {
      const of = labels.get(finding.layer) ?? labels.set(finding.layer, new Map()).get(finding.layer);
      of.set(finding.label, of.get(finding.label) ?? finding);
    }
    const names = [...labels].map(([layer, of]) => [layer, filter.layers.has(layer), ...of.keys()]);
    // Counts alone change far more often than what there is to switch.
    if (JSON.stringify(names) !== drawn) {
      drawn = JSON.stringify(names);
      draw(labels, filter);
    }
    update(findings, filter);
  }

  function draw(labels, filter) {
    const focused = switches.contains(document.activeElement) ? document.activeElement.id : null;
    counters = [];
    const groups = [...labels].map(([layer, of], at) => {
      const isOn = filter.layers.has(layer);
      const number = el("span", { class: "number" });
      counters.push({ number, holds: (finding) => finding.layer === layer });
      const chips = [...of].sort().map(([label, finding], index) => {
        const off = `${layer} ${label}`;
        const counter = el("span", { class: "number" });
        counters.push({ number: counter, holds: (one) => one.layer === layer && one.label === label });
        const box = el("input", {
          type: "checkbox",
          id: `label-${at}-${index}`,
          checked: !filter.hidden.has(off),
          on: { change: () => onChange({ toggleLabel: off }) },
        });
        return el(
          "label",
          { class: "chip switch", style: { "--mark": color(finding) } },
          box,
          el("span", { text: label }),
          counter,
        );
      });
      const box = el("input", {
        type: "checkbox",
        id: `layer-${at}`,
        checked: isOn,
        on: { change: () => onChange({ toggleLayer: layer }) },
      });
      return el(
        "fieldset",
        {},
        el("legend", {}, el("label", { class: "switch" }, box, el("span", { text: layer }), number)),
        ...(isOn ? [el("div", { class: "chips" }, ...chips)] : []),
      );
    });
    switches.replaceChildren(...groups);
    if (focused) document.getElementById(focused)?.focus();
  }

  function update(findings, filter) {
    output.textContent = filter.least.toFixed(2);
    slider.value = String(filter.least);
    const sure = findings.filter((finding) => isSure(finding, filter));
    for (const { number, holds } of counters) number.textContent = String(sure.filter(holds).length);
    const visible = sure.filter((finding) => isShown(finding, filter)).length;
    shown.textContent = `${visible.toLocaleString("en")} of ${count(findings.length, "finding")} shown`;
  }

  return { show, update };
}
