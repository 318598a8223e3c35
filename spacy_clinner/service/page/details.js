// The panel of what is known of one finding, and where it is corrected.

import { choice, el, title } from "./dom.js";
import { decided, percent, said, words } from "./findings.js";

const ASSERTIONS = [
  "present",
  "absent",
  "possible",
  "conditional",
  "hypothetical",
  "associated_with_someone_else",
];

/**
 * The panel's content.
 *
 * finding, text: what is shown. labels: those that its layer has. modifiers: spans that may be
 * linked (of layers of modifiers), each with label, start, end. toPoints: characters as the service
 * counts them. onCorrect(change): the fields that become others; null deletes the finding.
 * onSelected(): the span that is selected in the note or the text, or null.
 */
export function detailsOf({ finding, text, labels, modifiers, toPoints, onCorrect, onSelected }) {
  const facts = el(
    "dl",
    {},
    row("Assertion", ...assertion(finding, text)),
    row("Confidence", ...confidence(finding.confidence)),
    row("Linked", links(finding, text, onCorrect)),
    row("Section", finding.section ? title(finding.section) : "none"),
    row("Layer", [finding.layer, finding.group].filter(Boolean).join(" · ")),
    row("Characters", `${toPoints(finding.start)}–${toPoints(finding.end)}`),
  );
  const relabel = changing("label", (label) => onCorrect({ label }));
  const submit = (event) => event.preventDefault();
  const form = el(
    "form",
    { class: "correct", "aria-label": "Correct this finding", on: { submit } },
    el("h3", { text: "Correct" }),
    field("Label", choice(labels, finding.label, relabel)),
    edges(finding, text, onCorrect, onSelected),
    linking(finding, text, modifiers, onCorrect),
    ...judging(finding, onCorrect),
    el("button", {
      type: "button",
      class: "danger",
      text: "Delete this finding",
      on: { click: () => onCorrect(null) },
    }),
  );
  const own = finding.correction;
  return own ? [el("p", { class: "note", text: title(own) }), facts, form] : [facts, form];
}

function row(name, ...content) {
  return el("div", {}, el("dt", { text: name }), el("dd", {}, ...content));
}

const changing = (name, then) => ({ name, on: { change: (event) => then(event.target.value) } });

function field(name, ...controls) {
  return el("label", { class: "field" }, el("span", { text: name }), ...controls);
}

function assertion(finding, text) {
  const parts = [el("strong", { text: title(said(finding)) })];
  if (finding.wrong) {
    const right = finding.right ? `: ${finding.right.replaceAll("_", " ")} would be right` : "";
    parts.push(el("span", { class: "flag", text: `marked as wrong${right}` }));
  }
  const by = decided(finding);
  if (by.length) parts.push(el("span", { class: "by", text: `decided by ${by.join(", ")}` }));
  if (finding.cue) {
    parts.push(el("span", { class: "by" }, "cue ", el("q", { text: words(finding.cue, text) })));
  }
  return parts;
}

function confidence(value) {
  if (value === null) return ["not scored"];
  const bar = { min: "0", max: "1", value: String(value), "aria-label": "Confidence" };
  return [el("span", { text: percent(value) }), el("meter", bar)];
}

function links(finding, text, onCorrect) {
  if (!finding.links.length) return "nothing";
  const items = finding.links.map((link) => {
    const remove = {
      type: "button",
      class: "quiet",
      text: "×",
      title: "Remove the link",
      "aria-label": `Remove the link to ${link.label} ${words(link, text)}`,
      on: {
        click: () => onCorrect({ links: finding.links.filter((other) => other !== link) }),
      },
    };
    return el(
      "li",
      {},
      el("b", { text: link.label }),
      el("span", { text: words(link, text) }),
      el("small", { text: percent(link.confidence) }),
      el("button", remove),
    );
  });
  return el("ul", { class: "links" }, ...items);
}

/** Where the finding begins and ends, moved by a word. */
function edges(finding, text, onCorrect, onSelected) {
  const move = (edge, by, name, sign) =>
    el("button", {
      type: "button",
      name: `${edge}${by}`,
      text: sign,
      "aria-label": name,
      title: name,
      on: {
        click: () => {
          const place = { start: finding.start, end: finding.end };
          place[edge] = wordEdge(text, finding[edge], by, edge);
          if (place.start < place.end) onCorrect(place);
        },
      },
    });
  return el(
    "div",
    { class: "edges", role: "group", "aria-label": "Where it begins and ends" },
    el("span", { text: "Begin" }),
    move("start", -1, "Begin a word earlier", "←"),
    move("start", 1, "Begin a word later", "→"),
    el("span", { text: "End" }),
    move("end", -1, "End a word earlier", "←"),
    move("end", 1, "End a word later", "→"),
    el("button", {
      type: "button",
      name: "selected",
      text: "As selected",
      title: "Begin and end where the selected text does",
      on: {
        click: () => {
          const place = onSelected();
          if (place) onCorrect(place);
        },
      },
    }),
  );
}

const WORD = /[\p{L}\p{N}\p{M}]+|[^\s\p{L}\p{N}\p{M}]/gu;
// Characters before and behind a place in which the next word is looked for.
const NEAR = 300;

/** Where the next word begins (`edge` "start") or ends ("end"), before or behind a place. */
export function wordEdge(text, place, by, edge) {
  const from = Math.max(0, place - NEAR);
  const edges = [...text.slice(from, place + NEAR).matchAll(WORD)].map(
    ({ index, 0: word }) => from + index + (edge === "end" ? word.length : 0),
  );
  const next = by < 0 ? edges.findLast((at) => at < place) : edges.find((at) => at > place);
  return next ?? place;
}

function linking(finding, text, modifiers, onCorrect) {
  const keyOf = ({ label, start, end }) => `${start} ${end} ${label}`;
  const linked = new Set(finding.links.map(keyOf));
  const far = ({ start }) => Math.abs(start - finding.start);
  const near = modifiers
    .filter((one) => !linked.has(keyOf(one)))
    .sort((one, other) => far(one) - far(other))
    .slice(0, 30);
  if (!near.length) return null;
  const names = near.map((one, at) => [String(at), `${one.label}: ${words(one, text)}`]);
  const link = (at) => {
    const { label, start, end } = near[Number(at)];
    onCorrect({ links: [...finding.links, { label, start, end, confidence: null }] });
  };
  const choices = [["", "a modifier nearby …"], ...names];
  return field("Link", choice(choices, "", changing("link", link)));
}

function judging(finding, onCorrect) {
  const wrong = el("input", {
    type: "checkbox",
    name: "wrong",
    checked: finding.wrong,
    on: { change: (event) => onCorrect({ wrong: event.target.checked, right: null }) },
  });
  const name = el("span", { text: "The assertion is wrong" });
  const check = el("label", { class: "check" }, wrong, name);
  if (!finding.wrong) return [check];
  const names = ASSERTIONS.map((name) => [name, name.replaceAll("_", " ")]);
  const right = changing("right", (value) => onCorrect({ right: value || null }));
  return [check, field("Right", choice([["", "not said"], ...names], finding.right ?? "", right))];
}
