// All findings that are shown, as a table: sorted by a column, narrowed by a word.

import { count, el, title } from "./dom.js";
import { percent, said, state, words } from "./findings.js";

const ROWS = 200;
// By column, what it sorts by; numbers as numbers.
const COLUMNS = [
  ["finding", "Finding", (row) => row.words.toLowerCase()],
  ["label", "Label", (row) => row.label],
  ["assertion", "Assertion", (row) => row.said],
  ["confidence", "Confidence", (row) => row.confidence ?? -1],
  ["section", "Section", (row) => row.section],
  ["linked", "Linked", (row) => row.linked.toLowerCase()],
  ["layer", "Layer", (row) => row.layer],
  ["place", "Characters", (row) => row.start],
];

/** RETURNS show(text, findings, toPoints), which draws; select(id). */
export function createTableView(root, color, onSelect) {
  let rows = [];
  let sorted = { column: "place", down: false };
  let most = ROWS;
  let selected = null;

  const filter = el("input", {
    type: "search",
    id: "table-filter",
    autocomplete: "off",
    placeholder: "a word, a label, an assertion …",
    on: { input: () => narrow() },
  });
  const said_ = el("p", { class: "count", role: "status" });
  const body = el("tbody");
  const more = el("button", {
    type: "button",
    class: "more",
    on: { click: () => narrow(most + ROWS) },
  });
  const headers = COLUMNS.map(([name, words]) => {
    const button = el("button", { type: "button", text: words, on: { click: () => sort(name) } });
    return el("th", { scope: "col", class: name }, button);
  });
  root.append(
    el("div", { class: "bar" }, el("label", { class: "field" }, el("span", { text: "Filter" }), filter), said_),
    el("table", {}, el("caption", { class: "unseen", text: "Findings" }), el("thead", {}, el("tr", {}, ...headers)), body),
    more,
  );
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row) onSelect(row.dataset.id);
  });

  function sort(column) {
    sorted = { column, down: sorted.column === column && !sorted.down };
    narrow();
  }

  function narrow(limit = ROWS) {
    most = limit;
    const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = rows.filter((row) => wanted.every((word) => row.all.includes(word)));
    const [, , by] = COLUMNS.find(([name]) => name === sorted.column);
    const sign = sorted.down ? -1 : 1;
    const order = (one, other) => (one < other ? -1 : Number(one > other));
    kept.sort((one, other) => sign * order(by(one), by(other)) || one.start - other.start);
    body.replaceChildren(...kept.slice(0, most).map(draw));
    said_.textContent =
      kept.length === rows.length
        ? count(rows.length, "finding")
        : `${count(kept.length, "finding")} of ${rows.length.toLocaleString("en")}`;
    more.hidden = kept.length <= most;
    more.textContent = `Show ${Math.min(ROWS, kept.length - most)} more`;
    headers.forEach((header, at) => {
      const here = COLUMNS[at][0] === sorted.column;
      if (here) header.ariaSort = sorted.down ? "descending" : "ascending";
      else header.removeAttribute("aria-sort");
    });
  }

  function draw(row) {
    const open = el("button", { type: "button", class: `name ${row.state}`, text: row.words });
    const label = el("span", { class: "chip", text: row.label, style: { "--mark": row.color } });
    const cells = {
      finding: el("th", { scope: "row", class: "finding" }, open),
      label: el("td", { class: "label" }, label),
      assertion: el("td", { class: "assertion", text: row.said, data: { said: row.said } }),
      confidence: el("td", { class: "confidence", text: percent(row.confidence) }),
      section: el("td", { class: "section", text: row.section }),
      linked: el("td", { class: "linked", text: row.linked }),
      layer: el("td", { class: "layer", text: row.layer }),
      place: el("td", { class: "place", text: row.place }),
    };
    const isSelected = row.id === selected;
    return el(
      "tr",
      { class: isSelected ? "selected" : "", data: { id: row.id }, "aria-current": isSelected ? "true" : null },
      ...Object.values(cells),
    );
  }

  function show(text, findings, toPoints) {
    rows = findings.map((finding) => {
      const row = {
        id: finding.id,
        start: finding.start,
        words: words(finding, text),
        label: finding.label,
        said: said(finding) + (finding.wrong ? ", marked as wrong" : ""),
        state: state(finding),
        confidence: finding.confidence,
        section: finding.section ? title(finding.section) : "",
        linked: finding.links.map((link) => `${link.label.toLowerCase()}: ${words(link, text)}`).join("; "),
        layer: finding.layer,
        place: `${toPoints(finding.start)}–${toPoints(finding.end)}`,
        color: color(finding),
      };
      const { words: named, label, said: asserted, section, linked, layer } = row;
      row.all = [named, label, asserted, section, linked, layer].join(" ").toLowerCase();
      return row;
    });
    narrow(most);
  }

  function select(id) {
    selected = id;
    for (const row of body.rows) {
      const here = row.dataset.id === id;
      row.classList.toggle("selected", here);
      if (here) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  return { show, select };
}
