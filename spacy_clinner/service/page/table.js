// All findings that are shown, as a table: sorted by a column, narrowed by words.

import { count, el, title } from "./dom.js";
import { percent, said, state, words } from "./findings.js";

// Rows that are drawn at once.
const ROWS = 200;
// By column its heading, and what it sorts by.
const COLUMNS = {
  finding: ["Finding", (row) => row.words.toLowerCase()],
  label: ["Label", (row) => row.label],
  assertion: ["Assertion", (row) => row.said],
  confidence: ["Confidence", (row) => row.confidence ?? -1],
  section: ["Section", (row) => row.section],
  linked: ["Linked", (row) => row.linked.toLowerCase()],
  layer: ["Layer", (row) => row.layer],
  place: ["Characters", (row) => row.start],
};

const READING_ORDER = { column: "place", isDown: false };

export class TableView {
  #color;
  #rows = [];
  #sorted = READING_ORDER;
  #selected = null;
  #filter = el("input", {
    type: "search",
    autocomplete: "off",
    placeholder: "a word, a label, an assertion …",
  });
  #count = el("p", { class: "count", role: "status" });
  #headers = {};
  #body = el("tbody");
  #more = el("button", { type: "button", class: "more" });
  #most = ROWS;

  /** root: where it draws. color: a finding's. onSelect: told the id of a finding. */
  constructor(root, color, onSelect) {
    this.#color = color;
    this.#filter.addEventListener("input", () => this.#draw(ROWS));
    this.#more.addEventListener("click", () => this.#draw(this.#most + ROWS));
    this.#body.addEventListener("click", ({ target }) => {
      const row = target.closest("tr");
      if (row) onSelect(row.dataset.id);
    });
    for (const [name, [text]] of Object.entries(COLUMNS)) {
      const click = () => this.#sort(name);
      const button = el("button", { type: "button", text, on: { click } });
      this.#headers[name] = el("th", { scope: "col", class: name }, button);
    }
    const label = el("label", { class: "field" }, el("span", { text: "Filter" }), this.#filter);
    const caption = el("caption", { class: "unseen", text: "Findings" });
    const head = el("thead", {}, el("tr", {}, ...Object.values(this.#headers)));
    root.append(
      el("div", { class: "bar" }, label, this.#count),
      el("table", {}, caption, head, this.#body),
      this.#more,
    );
  }

  /** toPoints: offsets as the service counts them. */
  show(text, findings, toPoints) {
    this.#rows = findings.map((finding) => this.#row(finding, text, toPoints));
    this.#draw(this.#most);
  }

  select(id) {
    this.#selected = id;
    for (const row of this.#body.rows) emphasize(row, row.dataset.id === id);
  }

  #row(finding, text, toPoints) {
    const linked = ({ label, ...link }) =>
      `${label.toLowerCase().replaceAll("_", " ")}: ${words(link, text)}`;
    const row = {
      id: finding.id,
      start: finding.start,
      words: words(finding, text),
      label: finding.label,
      said: said(finding) + (finding.wrong ? ", marked as wrong" : ""),
      state: state(finding),
      confidence: finding.confidence,
      section: finding.section ? title(finding.section) : "",
      linked: finding.links.map(linked).join("; "),
      layer: finding.layer,
      place: `${toPoints(finding.start)}–${toPoints(finding.end)}`,
      color: this.#color(finding),
    };
    const searched = [row.words, row.label, row.said, row.section, row.linked, row.layer];
    return { ...row, searched: searched.join(" ").toLowerCase() };
  }

  /** By a column, at the second click the other way, and at the third as the note is read. */
  #sort(column) {
    const isSame = this.#sorted.column === column;
    this.#sorted = isSame && this.#sorted.isDown ? READING_ORDER : { column, isDown: isSame };
    this.#draw(ROWS);
  }

  #draw(most) {
    this.#most = most;
    const wanted = this.#filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = this.#rows.filter((row) => wanted.every((word) => row.searched.includes(word)));
    const { column, isDown } = this.#sorted;
    const [, by] = COLUMNS[column];
    const order = (one, other) => (one < other ? -1 : Number(one > other));
    const sign = isDown ? -1 : 1;
    kept.sort((one, other) => sign * order(by(one), by(other)) || one.start - other.start);
    this.#body.replaceChildren(...kept.slice(0, most).map(drawn));
    this.select(this.#selected);
    const of = kept.length < this.#rows.length ? ` of ${this.#rows.length}` : "";
    this.#count.textContent = count(kept.length, "finding") + of;
    this.#more.hidden = kept.length <= most;
    this.#more.textContent = `Show ${Math.min(ROWS, kept.length - most)} more`;
    for (const [name, header] of Object.entries(this.#headers)) {
      header.ariaSort = name === column ? (isDown ? "descending" : "ascending") : null;
    }
  }
}

function drawn(row) {
  const open = el("button", { type: "button", class: `name ${row.state}`, text: row.words });
  // A long label goes on in the next line behind one of its underscores.
  const parts = row.label.split(/(?<=_)/).flatMap((part) => [part, el("wbr")]);
  const label = el("span", { class: "chip", style: { "--mark": row.color } }, ...parts);
  const cell = (name, text) => el("td", { class: name, text });
  // What has no column where there is little room.
  const place = ["section", "layer", "place"].map((name) =>
    row[name] ? el("span", { class: `in-${name}`, text: `${row[name]} ` }) : null,
  );
  return el(
    "tr",
    { data: { id: row.id } },
    el("th", { scope: "row", class: "finding" }, open, el("small", {}, ...place)),
    el("td", { class: "label" }, label),
    el("td", { class: "assertion", text: row.said, data: { said: row.said } }),
    cell("confidence", percent(row.confidence)),
    cell("section", row.section),
    cell("linked", row.linked),
    cell("layer", row.layer),
    cell("place", row.place),
  );
}

/** Marks a row as that of the finding that is selected, or not. */
export function emphasize(row, isSelected) {
  row.classList.toggle("selected", isSelected);
  row.ariaCurrent = isSelected ? "true" : null;
}
