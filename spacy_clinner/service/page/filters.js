// Switches for layers and labels, and the least confidence; each with how many findings it shows.

import { count, el } from "./dom.js";
import { isShown, isSure } from "./findings.js";

export class Filters {
  #color;
  #onChange;
  #output = el("output", { for: "least" });
  #count = el("p", { class: "count" });
  #slider = el("input", { type: "range", id: "least", min: "0", max: "1", step: "0.01" });
  #switches = el("div", { class: "layers" });
  // Elements that show a number, and which findings are counted there.
  #counters = [];
  #drawn = "";

  /** color: a finding's. onChange: told what is switched, or the new `least`. */
  constructor(root, color, onChange) {
    this.#color = color;
    this.#onChange = onChange;
    this.#slider.addEventListener("input", () => onChange({ least: Number(this.#slider.value) }));
    const label = el("label", { for: "least", text: "Confidence at least" });
    const slider = el("div", { class: "slider" }, label, this.#output, this.#slider);
    root.append(slider, this.#count, this.#switches);
  }

  /** layers: all that there are, also those without findings. */
  show(layers, findings, filter) {
    const labels = new Map(layers.map((layer) => [layer, new Map()]));
    for (const finding of findings) {
      const { layer, label } = finding;
      if (!labels.has(layer)) labels.set(layer, new Map());
      if (!labels.get(layer).has(label)) labels.get(layer).set(label, finding);
    }
    const names = [...labels].map(([layer, of]) => [layer, filter.layers.has(layer), ...of.keys()]);
    // Counts change far more often than what there is to switch.
    if (JSON.stringify(names) !== this.#drawn) {
      this.#drawn = JSON.stringify(names);
      this.#draw(labels, filter);
    }
    this.update(findings, filter);
  }

  /** The counts. */
  update(findings, filter) {
    this.#output.textContent = filter.least.toFixed(2);
    this.#slider.value = String(filter.least);
    const sure = findings.filter((finding) => isSure(finding, filter));
    for (const { number, counts } of this.#counters) {
      number.textContent = String(sure.filter(counts).length);
    }
    const shown = sure.filter((finding) => isShown(finding, filter)).length;
    const all = count(findings.length, "finding");
    this.#count.textContent = `${shown.toLocaleString("en")} of ${all} shown`;
  }

  #draw(labels, filter) {
    const hasFocus = this.#switches.contains(document.activeElement);
    const focused = hasFocus ? document.activeElement.id : null;
    this.#counters = [];
    this.#switches.replaceChildren(
      ...[...labels].map(([layer, of], at) => this.#layer(layer, of, `layer-${at}`, filter)),
    );
    if (focused) document.getElementById(focused)?.focus();
  }

  #layer(layer, labels, id, filter) {
    const isOn = filter.layers.has(layer);
    const box = this.#box(id, isOn, { toggleLayer: layer });
    const number = this.#counter((finding) => finding.layer === layer);
    const name = el("label", { class: "switch" }, box, el("span", { text: layer }), number);
    const chips = [...labels]
      .sort()
      .map(([label, finding], at) => this.#label(label, finding, `${id}-${at}`, filter));
    const shown = isOn ? el("div", { class: "chips" }, ...chips) : null;
    return el("fieldset", {}, el("legend", {}, name), shown);
  }

  #label(label, finding, id, filter) {
    const { layer } = finding;
    const name = `${layer} ${label}`;
    const box = this.#box(id, !filter.hidden.has(name), { toggleLabel: name });
    const number = this.#counter((one) => one.layer === layer && one.label === label);
    const style = { "--mark": this.#color(finding) };
    return el("label", { class: "chip switch", style }, box, el("span", { text: label }), number);
  }

  #box(id, checked, change) {
    const on = { change: () => this.#onChange(change) };
    return el("input", { type: "checkbox", id, checked, on });
  }

  #counter(counts) {
    const number = el("span", { class: "number" });
    this.#counters.push({ number, counts });
    return number;
  }
}
