// The page: what is typed goes to the service, what comes back is shown, and nothing is kept.

import { add, carry, correct, corrected, steps } from "./corrections.js";
import { detailsOf } from "./details.js";
import { byId, choice, count, el } from "./dom.js";
import { FORMATS, save } from "./download.js";
import { moved } from "./edits.js";
import { Filters } from "./filters.js";
import { findings, isShown, words } from "./findings.js";
import { Input, tell } from "./input.js";
import { drawLines } from "./lines.js";
import { Model } from "./model.js";
import { NoteView } from "./note.js";
import { offsetsOf } from "./offsets.js";
import { SectionsView } from "./sections.js";
import { createService } from "./service.js";
import { TableView } from "./table.js";
import { Tabs } from "./tabs.js";

// text: the one that was answered; all offsets are into it. found: what the model found; findings:
// that with the corrections. past: what the corrections were, the last of them last.
const state = {
  model: new Model(),
  text: "",
  offsets: offsetsOf(""),
  found: [],
  corrections: [],
  past: [],
  findings: [],
  filter: { layers: new Set(), hidden: new Set(), least: 0 },
  selected: null,
};

const color = (finding) => state.model.color(finding);
const note = new NoteView(byId("note"), color, select);
const table = new TableView(byId("view-table"), color, select);
const sections = new SectionsView(byId("view-sections"), color, select);
const filters = new Filters(byId("filters-content"), color, changeFilter);
const tabs = new Tabs(document.querySelector(".tabs"), show);
const input = new Input(createService(), {
  answered: () => state.text,
  selection: () => note.selection(),
  ...{ know, take, refuse, outdate, offer },
});

/** What the model has; of its layers the first of entities is shown. */
function know(told) {
  const model = new Model(told);
  state.model = model;
  state.filter.layers = new Set(model.entityLayers.slice(0, 1));
  offerLabels();
  byId("model").textContent = [told.name, told.version].join(" ");
  byId("model").title = [told.description, told.licence].filter(Boolean).join(" · ");
  update();
}

/** The labels that a finding of a person's own may have. */
function offerLabels() {
  const labels = state.model.labels.map((one) => [JSON.stringify(one), `${one[1]} (${one[0]})`]);
  byId("adding-label").replaceChildren(...choice(labels).children);
  byId("adding-label").selectedIndex = 0;
}

/**
 * A new answer. edits: how its text was made of the one before; what was corrected there and stands
 * still is kept, and what was selected stays so.
 */
function take(answer, text, edits = []) {
  const moves = text === state.text ? [] : edits;
  const carried = (corrections) => carry(corrections, moves);
  const before = selectedFinding();
  const place = before && moved(before, moves);
  state.corrections = answer ? carried(state.corrections) : [];
  state.past = answer ? steps(state.past.map(carried), state.corrections) : [];
  state.text = text;
  state.offsets = offsetsOf(text);
  state.found = answer ? findings(answer, text) : [];
  learn(state.found);
  outdate(false);
  update();
  const isSame = ({ layer, label, start }) =>
    layer === place.layer && label === place.label && start === place.start;
  select((place && state.findings.find(isSame)?.id) ?? null, false);
  return shown().length;
}

/** What the model did not tell that it finds: seen first, its layer is on. */
function learn(found) {
  const { layers, labels } = state.model;
  state.model.learn(found);
  const isNew = (layer) => !layers.includes(layer);
  for (const layer of state.model.layers.filter(isNew)) state.filter.layers.add(layer);
  if (state.model.labels.length > labels.length) offerLabels();
}

/** There is no answer to the text that stands there: of another note nothing stays beside it. */
function refuse(edits) {
  if (edits.some(({ isWhole }) => isWhole)) take(null, "");
  const isOutdated = Boolean(state.text.trim());
  outdate(isOutdated);
  tell(isOutdated ? "What is shown is of the text before its last changes." : "");
}

/** Whether what is shown is of a text that stands there no more: then nobody downloads it. */
function outdate(isOutdated) {
  byId("results").classList.toggle("outdated", isOutdated);
  byId("download").inert = isOutdated;
  if (isOutdated) byId("download").open = false;
}

function update() {
  state.findings = corrected(state.found, state.corrections, mayLink);
  filters.show(state.model.layers, state.findings, state.filter);
  byId("undo").disabled = !state.past.length;
  show();
}

const mayLink = (finding, modifier) => state.model.mayLink(finding, modifier);

const shown = () => state.findings.filter((finding) => isShown(finding, state.filter));

const selectedFinding = () => state.findings.find(({ id }) => id === state.selected);

function show() {
  const { text, offsets } = state;
  const isEmpty = !text.trim();
  byId("empty").hidden = !isEmpty;
  byId("download").hidden = isEmpty;
  tabs.show(isEmpty);
  const visible = shown();
  const view = tabs.current();
  if (view === "note") note.show(text, visible).then((isWhole) => isWhole && draw());
  if (view === "table") table.show(text, visible, offsets.toPoints);
  const main = mainLayer();
  if (view === "sections") sections.show(text, visible.filter(({ layer }) => layer === main));
  draw();
}

/** Of the layers that are on, the first of entities: what one would scan. */
function mainLayer() {
  return state.model.entityLayers.find((layer) => state.filter.layers.has(layer));
}

function changeFilter({ least, toggleLayer, toggleLabel }) {
  const { filter } = state;
  const toggle = (set, item) => (set.has(item) ? set.delete(item) : set.add(item));
  if (toggleLayer) toggle(filter.layers, toggleLayer);
  if (toggleLabel) toggle(filter.hidden, toggleLabel);
  filter.least = least ?? filter.least;
  if (least === undefined) filters.show(state.model.layers, state.findings, filter);
  else filters.update(state.findings, filter);
  show();
  tell(`${count(shown().length, "finding")} shown`);
}

/** Opens what is known of a finding; null closes it. `isMoving`: the focus goes along. */
function select(id, isMoving = true) {
  const before = state.selected;
  state.selected = id;
  for (const view of [note, table, sections]) view.select(id);
  drawDetails();
  draw();
  if (id && isMoving) {
    byId("details-title").focus({ preventScroll: true });
    reveal(id);
  }
  if (!id && before && isMoving) note.tagOf(before)?.focus({ preventScroll: true });
}

/** On a phone the details lie over the foot of the page: the mark must not be under them. */
function reveal(id) {
  const mark = note.tagOf(id)?.getBoundingClientRect();
  const panel = byId("details").getBoundingClientRect();
  const isBeside = !mark?.height || mark.right < panel.left || mark.left > panel.right;
  if (!isBeside && mark.bottom > panel.top) scrollBy({ top: mark.top - innerHeight / 5 });
}

/** The lines from the selected finding to its cue and what is linked to it. */
function draw() {
  const finding = selectedFinding();
  const isSeen = finding && tabs.current() === "note" && isShown(finding, state.filter);
  drawLines(byId("lines"), isSeen ? finding : null, (span) => note.rangesOf(span));
}

function drawDetails() {
  const finding = selectedFinding();
  byId("details").hidden = !finding;
  document.body.classList.toggle("detailed", Boolean(finding));
  if (!finding) return;
  const { text, offsets, model } = state;
  byId("details-title").replaceChildren(
    el("span", { text: words(finding, text), dir: "auto" }),
    el("span", { class: "chip", text: finding.label, style: { "--mark": color(finding) } }),
  );
  const content = detailsOf({
    ...{ finding, text },
    labels: [...new Set([finding.label, ...model.labelsOf(finding.layer)])],
    modifiers: model.modifiersFor(finding, state.findings),
    toPoints: offsets.toPoints,
    onCorrect: (change) => (change ? changeFinding(finding, change) : deleteFinding(finding)),
    onSelected: () => input.selection(),
  });
  byId("details-content").replaceChildren(...content);
}

function changeFinding(finding, change) {
  const control = document.activeElement.name;
  const group = state.model.group(finding.layer, change.label ?? finding.label) ?? finding.group;
  remember(correct(state.corrections, finding, { ...change, group }, mayLink));
  select(state.corrections.at(-1).finding.id, false);
  // The panel is drawn anew; who corrects by keyboard stays at the same control.
  byId("details").querySelector(`[name="${control}"]`)?.focus();
  tell("Corrected.");
}

function deleteFinding(finding) {
  const next = note.step(finding.id, 1);
  remember(correct(state.corrections, finding, null, mayLink));
  select(null, false);
  note.tagOf(next)?.focus({ preventScroll: true });
  tell("Deleted.");
}

/** The corrections, one more or one less; what was before can be had back. */
function remember(corrections) {
  state.past.push(state.corrections);
  state.corrections = corrections;
  update();
}

/** What is selected can be made a finding. */
function offer(span) {
  byId("adding").hidden = !span || !state.model.labels.length;
  if (span) byId("adding-words").textContent = words(span, state.text).slice(0, 80);
}

function addFinding(place) {
  const [layer, label] = JSON.parse(byId("adding-label").value);
  const section = state.findings.findLast(({ start }) => start <= place.start)?.section ?? null;
  const group = state.model.group(layer, label);
  state.filter.layers.add(layer);
  state.filter.hidden.delete(`${layer} ${label}`);
  remember(add(state.corrections, { ...place, layer, label, group, section }));
  getSelection().removeAllRanges();
  offer(null);
  select(state.corrections.at(-1).finding.id);
  tell("Added.");
}

function stepTo(by) {
  const id = note.step(state.selected, by);
  if (!id) return;
  select(id, false);
  note.tagOf(id)?.scrollIntoView({ block: "center" });
  reveal(id);
}

byId("previous").addEventListener("click", () => stepTo(-1));
byId("next").addEventListener("click", () => stepTo(1));
byId("close").addEventListener("click", () => select(null));
byId("adding").addEventListener("submit", (event) => {
  event.preventDefault();
  const place = input.selection();
  if (place) addFinding(place);
});
byId("undo").addEventListener("click", () => {
  state.corrections = state.past.pop();
  update();
  select(selectedFinding()?.id ?? null, false);
  tell("Undone.");
});
byId("download").addEventListener("click", ({ target }) => {
  const format = target.closest("[data-format]")?.dataset.format;
  if (!format) return;
  const [name, make] = FORMATS[format];
  save(make(state.text, shown()), name);
  byId("download").open = false;
});
document.addEventListener("click", ({ target }) => {
  if (!byId("download").contains(target)) byId("download").open = false;
});
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  if (byId("download").open) byId("download").open = false;
  else if (state.selected) select(null);
});
new ResizeObserver(draw).observe(byId("note"));
// On a narrow screen the note comes first.
byId("filters").open = matchMedia("(min-width: 64rem)").matches;
update();
input.meet();
