// The note as one scans it: by section its problems, its drugs and its tests, with what is linked
// to them in columns.

import { el, title } from "./dom.js";
import { said, state, words } from "./findings.js";
import { emphasize } from "./table.js";

const linkedAs = (...labels) => (finding, text) =>
  finding.links
    .filter((link) => labels.includes(link.label.toUpperCase()))
    .map((link) => words(link, text))
    .join(", ");

const KINDS = [
  {
    name: "Problems",
    holds: ({ group }) => group === "Disorders",
    columns: [
      ["Problem", null],
      ["Assertion", (finding) => said(finding)],
      ["Where", linkedAs("BODYLOC")],
      ["Severity, course", linkedAs("SEVERITY", "COURSE")],
      ["When", linkedAs("TEMPORAL")],
    ],
  },
  {
    name: "Drugs",
    holds: ({ group }) => group === "Chemicals & Drugs",
    columns: [
      ["Drug", null],
      ["Dose", linkedAs("STRENGTH", "DOSAGE", "FORM")],
      ["Route", linkedAs("ROUTE")],
      ["Frequency", linkedAs("FREQUENCY")],
      ["For", linkedAs("DURATION", "TEMPORAL")],
    ],
  },
  {
    name: "Tests",
    holds: ({ group, label }) => group === "Procedures" && /test|diagnostic|lab/i.test(label),
    columns: [
      ["Test", null],
      ["Value", linkedAs("LABVALUE")],
      ["Reference range", linkedAs("REFERENCE_RANGE")],
      ["When", linkedAs("TEMPORAL")],
    ],
  },
  {
    name: "Treatments",
    holds: ({ group }) => group === "Procedures",
    columns: [
      ["Treatment", null],
      ["Assertion", (finding) => said(finding)],
      ["When", linkedAs("TEMPORAL")],
    ],
  },
  {
    name: "Other",
    holds: () => true,
    columns: [
      ["Finding", null],
      ["Label", ({ label }) => label],
      ["Assertion", (finding) => said(finding)],
    ],
  },
];

/** What is asserted, where that is not what one would think. */
function unusual(finding) {
  const what = said(finding);
  const isUsual = ["present", "not judged"].includes(what);
  return isUsual ? null : el("small", { class: "unusual", text: what });
}

export class SectionsView {
  #root;
  #color;
  #selected = null;

  /** root: where it draws. color: a finding's. onSelect: told the id of a finding. */
  constructor(root, color, onSelect) {
    this.#root = root;
    this.#color = color;
    root.addEventListener("click", ({ target }) => {
      const open = target.closest("[data-id]");
      if (open) onSelect(open.dataset.id);
    });
  }

  /** findings: those of one layer, or what is said twice would stand there twice. */
  show(text, findings) {
    const sections = Map.groupBy(findings, ({ section }) => section ?? "");
    const first = sections.size === 1 ? "The note" : "Before the first heading";
    const drawn = [...sections].map(([name, inIt]) => {
      const heading = name ? title(name) : first;
      const kinds = Map.groupBy(inIt, (finding) => KINDS.find((kind) => kind.holds(finding)));
      const tables = KINDS.filter((kind) => kinds.has(kind)).map((kind) =>
        this.#table(kind, kinds.get(kind), text, heading),
      );
      return el("section", { "aria-label": heading }, el("h3", { text: heading }), ...tables);
    });
    const nothing = el("p", { class: "nothing", text: "Nothing is shown." });
    this.#root.replaceChildren(...(drawn.length ? drawn : [nothing]));
    this.select(this.#selected);
  }

  select(id) {
    this.#selected = id;
    for (const row of this.#root.querySelectorAll("tr[data-row]")) {
      emphasize(row, row.dataset.row === id);
    }
  }

  #table({ name, columns }, findings, text, section) {
    const headers = columns.map(([column]) => el("th", { scope: "col", text: column }));
    const isSaid = columns.some(([column]) => column === "Assertion");
    const rows = findings.map((finding) => {
      const cells = columns.map(([column, of]) => {
        if (!of) {
          const more = isSaid ? null : unusual(finding);
          return el("th", { scope: "row" }, this.#opener(finding, text), " ", more);
        }
        const filled = of(finding, text);
        return el("td", { text: filled, data: { column, said: filled } });
      });
      return el("tr", { data: { row: finding.id } }, ...cells);
    });
    const where = el("span", { class: "unseen", text: ` in ${section}` });
    return el(
      "table",
      { class: "kind" },
      el("caption", {}, name, where),
      el("thead", {}, el("tr", {}, ...headers)),
      el("tbody", {}, ...rows),
    );
  }

  #opener(finding, text) {
    return el("button", {
      type: "button",
      class: `name chip ${state(finding)}`,
      text: words(finding, text),
      data: { id: finding.id },
      style: { "--mark": this.#color(finding) },
    });
  }
}
