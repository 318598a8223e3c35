// The note as one scans it: by section its problems, its drugs and its tests, with what is linked
// to them in columns.

import { el, title } from "./dom.js";
import { said, state, words } from "./findings.js";

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

/** RETURNS show(text, findings), which draws those of one layer; select(id). */
export function createSectionsView(root, color, onSelect) {
  root.addEventListener("click", (event) => {
    const open = event.target.closest("[data-id]");
    if (open) onSelect(open.dataset.id);
  });
  let selected = null;

  function show(text, findings) {
    const bySection = new Map();
    for (const finding of findings) {
      const name = finding.section ?? "";
      const inIt = bySection.get(name) ?? bySection.set(name, []).get(name);
      inIt.push(finding);
    }
    const drawn = [...bySection].map(([name, inIt]) => {
      const kinds = new Map(KINDS.map((kind) => [kind, []]));
      for (const finding of inIt) kinds.get(KINDS.find((kind) => kind.holds(finding))).push(finding);
      const heading = name ? title(name) : "Before the first heading";
      const alone = bySection.size === 1 && !name ? "The note" : heading;
      return el(
        "section",
        { "aria-label": alone },
        el("h3", { text: alone }),
        ...[...kinds].filter(([, of]) => of.length).map(([kind, of]) => table(kind, of, text, alone)),
      );
    });
    root.replaceChildren(...drawn);
    if (!drawn.length) root.append(el("p", { class: "nothing", text: "Nothing is shown." }));
    select(selected);
  }

  function table(kind, findings, text, section) {
    const columns = kind.columns.map(([name]) => el("th", { scope: "col", text: name }));
    const rows = findings.map((finding) => {
      const cells = kind.columns.map(([name, of]) => {
        if (!of) return el("th", { scope: "row" }, opener(finding, text));
        const filled = of(finding, text);
        return el("td", { text: filled, data: { column: name, said: filled } });
      });
      return el("tr", { data: { row: finding.id } }, ...cells);
    });
    return el(
      "table",
      { class: "kind" },
      el("caption", {}, kind.name, el("span", { class: "unseen", text: ` in ${section}` })),
      el("thead", {}, el("tr", {}, ...columns)),
      el("tbody", {}, ...rows),
    );
  }

  function opener(finding, text) {
    return el("button", {
      type: "button",
      class: `name chip ${state(finding)}`,
      text: words(finding, text),
      data: { id: finding.id },
      style: { "--mark": color(finding) },
    });
  }

  function select(id) {
    selected = id;
    for (const row of root.querySelectorAll("tr[data-row]")) {
      const here = row.dataset.row === id;
      row.classList.toggle("selected", here);
      if (here) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  return { show, select };
}
