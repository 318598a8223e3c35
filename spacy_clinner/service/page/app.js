// The page: what is typed goes to the service, what comes back is shown, and nothing is kept.

import { add, carry, correct, corrected } from "./corrections.js";
import { detailsOf } from "./details.js";
import { byId, choice, el } from "./dom.js";
import { FORMATS, save } from "./download.js";
import { createFilters } from "./filters.js";
import { findings, isShown, words } from "./findings.js";
import { createInput } from "./input.js";
import { drawLines } from "./lines.js";
import { createNoteView } from "./note.js";
import { offsetsOf } from "./offsets.js";
import { createSectionsView } from "./sections.js";
import { createService } from "./service.js";
import { createTableView } from "./table.js";
import { createTabs } from "./tabs.js";

const OTHER = "#e6e2f1";
const service = createService();
// answered: the text that `found` belongs to; all offsets are into it.
const state = {
  model: { layers: [], links: [], limits: {} },
  answered: "",
  offsets: offsetsOf(""),
  found: [],
  corrections: [],
  past: [],
  findings: [],
  filter: { layers: new Set(), hidden: new Set(), least: 0 },
  selected: null,
};

let colors = new Map();
const color = ({ layer, label }) => colors.get(`${layer} ${label}`) ?? OTHER;
const note = createNoteView(byId("note"), color, select);
const table = createTableView(byId("view-table"), color, select);
const sections = createSectionsView(byId("view-sections"), color, select);
const filters = createFilters(byId("filters-content"), color, changeFilter);
const tabs = createTabs(document.querySelector(".tabs"), show);
const layers = () => state.model.layers.map(({ name }) => name);
const input = createInput({
  ...{ service, layers, onAnswer: take, onSelection: offerToAdd },
  noteSelection: note.selection,
  answered: () => state.answered,
});

function shown() {
  return state.findings.filter((finding) => isShown(finding, state.filter));
}

/** A new answer: what was corrected before stays as it is. */
function take(answer, text) {
  const kept = selectedFinding();
  state.corrections = carry(state.corrections, state.answered, text);
  if (text !== state.answered) state.past = [];
  state.answered = text;
  state.offsets = offsetsOf(text);
  state.found = answer ? findings(answer, text) : [];
  if (!answer) state.corrections = [];
  update();
  const isSame = ({ layer, label, start }) =>
    layer === kept.layer && label === kept.label && start === kept.start;
  select((kept && state.findings.find(isSame)?.id) ?? null, false);
  return shown().length;
}

/** What is shown follows from what was found and what was corrected. */
function update() {
  state.findings = corrected(state.found, state.corrections);
  if (!selectedFinding()) state.selected = null;
  filters.show(layers(), state.findings, state.filter);
  byId("undo").disabled = !state.past.length;
  show();
}

function show() {
  const visible = shown();
  const isEmpty = !state.answered.trim();
  byId("empty").hidden = !isEmpty;
  byId("download").hidden = isEmpty;
  tabs.show(isEmpty);
  const view = tabs.current();
  const { answered: text, offsets } = state;
  if (view === "note") note.show(text, visible).then((whole) => whole && draw());
  if (view === "table") table.show(text, visible, offsets.toPoints);
  if (view === "sections") sections.show(text, visible.filter(({ layer }) => layer === mainLayer()));
  draw();
}

/** Of the layers that are on, the one that others are linked to: what one would scan. */
function mainLayer() {
  const on = state.model.layers.filter(({ name, entities }) => entities && state.filter.layers.has(name));
  return (on.find(({ name }) => name === "clinical") ?? on[0])?.name;
}

function changeFilter({ least, toggleLayer, toggleLabel }) {
  const { filter } = state;
  const toggle = (set, item) => (set.has(item) ? set.delete(item) : set.add(item));
  if (least !== undefined) filter.least = least;
  if (toggleLayer) toggle(filter.layers, toggleLayer);
  if (toggleLabel) toggle(filter.hidden, toggleLabel);
  if (least === undefined) filters.show(layers(), state.findings, filter);
  else filters.update(state.findings, filter);
  show();
}

const selectedFinding = () => state.findings.find(({ id }) => id === state.selected);

/** Opens what is known of a finding; null closes it. */
function select(id, move = true) {
  const before = state.selected;
  state.selected = id;
  for (const view of [note, table, sections]) view.select(id);
  drawDetails();
  draw();
  if (id && move) {
    byId("details-title").focus({ preventScroll: true });
    reveal(id);
  }
  if (!id && before && move) note.tagOf(before)?.focus({ preventScroll: true });
}

/** On a phone the details lie over the foot of the page: the mark must not be under them. */
function reveal(id) {
  const mark = note.tagOf(id)?.getBoundingClientRect();
  const panel = byId("details").getBoundingClientRect();
  if (mark?.height && mark.bottom > panel.top && mark.right > panel.left && mark.left < panel.right) {
    scrollBy({ top: mark.top - innerHeight / 5 });
  }
}

function drawDetails() {
  const finding = selectedFinding();
  byId("details").hidden = !finding;
  document.body.classList.toggle("detailed", Boolean(finding));
  if (!finding) return;
  const { answered: text, offsets, model } = state;
  byId("details-title").replaceChildren(
    el("span", { text: words(finding, text), dir: "auto" }),
    el("span", { class: "chip", text: finding.label, style: { "--mark": color(finding) } }),
  );
  const content = detailsOf({
    finding,
    text,
    labels: labelsOf(finding),
    modifiers: modifiersFor(finding, model),
    toPoints: offsets.toPoints,
    onCorrect: (change) => correctFinding(finding, change),
    onSelected: input.selection,
  });
  byId("details-content").replaceChildren(...content.filter(Boolean));
}

function labelsOf({ layer, label }) {
  const known = state.model.layers.find(({ name }) => name === layer)?.labels ?? [];
  return [...new Set([label, ...known.map(({ name }) => name)])];
}

/** The modifiers in the text that the model may link to such a finding. */
function modifiersFor(finding, { layers: all, links }) {
  const may = new Set(links.filter(({ entity }) => entity === finding.label).map((one) => one.modifier));
  const modifying = new Set(all.filter(({ entities }) => !entities).map(({ name }) => name));
  const spans = [
    ...state.findings.filter(({ layer }) => modifying.has(layer)),
    ...state.findings.flatMap((one) => one.links),
  ].filter(({ label }) => !may.size || may.has(label));
  return [...new Map(spans.map((one) => [`${one.start} ${one.end} ${one.label}`, one])).values()];
}

function correctFinding(finding, change) {
  if (change?.label) change = { ...change, group: groupOf(finding.layer, change.label) };
  const control = document.activeElement.name;
  const behind = note.step(finding.id, 1);
  remember(correct(state.corrections, finding, change));
  update();
  say(change ? "Corrected." : "Deleted.");
  if (!change) {
    select(null, false);
    note.tagOf(behind)?.focus({ preventScroll: true });
    return;
  }
  select(state.corrections.at(-1).finding.id, false);
  // The panel is drawn anew; who corrects by keyboard stays at the same control.
  byId("details").querySelector(`[name="${control}"]`)?.focus();
}

function groupOf(layer, label) {
  const known = state.model.layers.find(({ name }) => name === layer)?.labels ?? [];
  return known.find(({ name }) => name === label)?.semantic_group ?? null;
}

function remember(corrections) {
  state.past.push(state.corrections);
  state.corrections = corrections;
}

function offerToAdd(span) {
  const place = state.answered && span;
  byId("adding").hidden = !place;
  if (!place) return;
  byId("adding-words").textContent = words(place, state.answered).slice(0, 80);
}

byId("adding").addEventListener("submit", (event) => {
  event.preventDefault();
  const place = input.selection();
  if (!place) return;
  const [layer, label] = JSON.parse(byId("adding-label").value);
  const section = state.findings.findLast(({ start }) => start <= place.start)?.section ?? null;
  remember(add(state.corrections, { ...place, layer, label, group: groupOf(layer, label), section }));
  state.filter.layers.add(layer);
  state.filter.hidden.delete(`${layer} ${label}`);
  getSelection().removeAllRanges();
  byId("adding").hidden = true;
  update();
  select(state.corrections.at(-1).finding.id);
  say("Added.");
});

byId("undo").addEventListener("click", () => {
  state.corrections = state.past.pop();
  update();
  select(state.selected, false);
  say("Undone.");
});
byId("close").addEventListener("click", () => select(null));
for (const [id, by] of [["previous", -1], ["next", 1]]) {
  byId(id).addEventListener("click", () => {
    const to = note.step(state.selected, by);
    if (!to) return;
    select(to, false);
    note.tagOf(to)?.scrollIntoView({ block: "center" });
    reveal(to);
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if (byId("download").open) byId("download").open = false;
  else if (state.selected) select(null);
});
byId("download").addEventListener("click", (event) => {
  const format = event.target.closest("[data-format]")?.dataset.format;
  if (!format) return;
  const [name, make] = FORMATS[format];
  save(make(state.answered, shown()), name);
  byId("download").open = false;
});
document.addEventListener("click", (event) => {
  if (!byId("download").contains(event.target)) byId("download").open = false;
});

function say(text) {
  byId("status").textContent = text;
}

function draw() {
  const finding = selectedFinding();
  const isSeen = finding && tabs.current() === "note" && isShown(finding, state.filter);
  drawLines(byId("lines"), isSeen ? finding : null, note.rangesOf);
}
new ResizeObserver(draw).observe(byId("note"));

/** What the model has: its layers, of which the first of entities is shown, and their colours. */
function know(model) {
  state.model = model;
  colors = new Map(
    model.layers.flatMap(({ name, labels }) => labels.map((label) => [`${name} ${label.name}`, label.color])),
  );
  state.filter.layers = new Set([model.layers.find(({ entities }) => entities)?.name].filter(Boolean));
  byId("model").textContent = [model.name, model.version].join(" ");
  byId("model").title = [model.description, model.licence].filter(Boolean).join(" · ");
  const choices = model.layers.flatMap(({ name, labels }) =>
    labels.map(({ name: label }) => [JSON.stringify([name, label]), `${label} (${name})`]),
  );
  byId("adding-label").replaceChildren(...choice(choices, "").children);
}

// On a narrow screen the note comes first.
byId("filters").open = matchMedia("(min-width: 64rem)").matches;
input.start(know);
