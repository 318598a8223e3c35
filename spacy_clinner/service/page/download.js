// What is shown, corrections included, as files that other tools read. Offsets are code points, as
// brat, Label Studio and Python count them.

import { judged, words } from "./findings.js";
import { offsetsOf } from "./offsets.js";
import { zip } from "./zip.js";

/**
 * The record that all files are made from: spans (findings, and the modifiers linked to them, once
 * each), links between them by id, and attributes of findings.
 */
export function record(text, findings) {
  const { toPoints } = offsetsOf(text);
  const keyOf = ({ label, start, end }) => `${start} ${end} ${label}`;
  const spans = [];
  const attributes = [];
  const byFinding = new Map();
  const byKey = new Map();
  const put = ({ label, start, end }) => {
    const id = `T${spans.length + 1}`;
    const place = { start: toPoints(start), end: toPoints(end) };
    spans.push({ id, label, ...place, text: text.slice(start, end) });
    return id;
  };
  const say = (target, label, value = null) => {
    attributes.push({ id: `A${attributes.length + 1}`, label, target, value });
  };
  const told = findings.map(judged);
  for (const finding of told) {
    const id = put(finding);
    byFinding.set(finding.id, id);
    byKey.set(keyOf(finding), id);
    say(id, "Layer", finding.layer);
    const { assertion, negated, uncertain, hypothetical, historical, experiencer } = finding;
    if (assertion) say(id, "Assertion", assertion);
    if (negated) say(id, "Negated");
    if (uncertain) say(id, "Uncertain");
    if (hypothetical) say(id, "Hypothetical");
    if (historical) say(id, "Historical");
    if (![null, "patient"].includes(experiencer)) say(id, "Experiencer", experiencer);
    if (finding.confidence !== null) say(id, "Confidence", finding.confidence.toFixed(4));
    if (finding.correction) say(id, "Corrected");
    // What the model asserted: what is right is told as every assertion is, and becomes gold.
    if (finding.wrong) say(id, "AssertionWrong", finding.before);
  }
  const relations = told.flatMap((finding) =>
    finding.links.map((link) => {
      const tail = byKey.get(keyOf(link)) ?? put(link);
      byKey.set(keyOf(link), tail);
      return { label: `has${link.label}`, head: byFinding.get(finding.id), tail };
    }),
  );
  relations.forEach((relation, at) => (relation.id = `R${at + 1}`));
  return { spans, relations, attributes };
}

/** A zip of a `.txt` and an `.ann`, which `clinner.corpora` and brat read. */
export function brat(text, findings) {
  const { spans, relations, attributes } = record(text, findings);
  const word = (value) => value.replace(/\s/gu, "_").replaceAll(":", "_") || "_";
  const line = (value) => value.replace(/[\n\r\v\f\x1c-\x1e\x85\u2028\u2029\t]/g, " ");
  const lines = [
    ...spans.map((s) => `${s.id}\t${word(s.label)} ${s.start} ${s.end}\t${line(s.text)}`),
    ...relations.map((r) => `${r.id}\t${word(r.label)} Arg1:${r.head} Arg2:${r.tail}`),
    ...attributes.map(({ id, label, target, value }) =>
      [`${id}\t${label}`, target, value && line(value)].filter(Boolean).join(" "),
    ),
  ];
  return zip([
    // A reader takes one byte order mark away, so a text that begins with one needs another.
    ["note.txt", text.startsWith("\ufeff") ? `\ufeff${text}` : text],
    ["note.ann", lines.map((one) => `${one}\n`).join("")],
  ]);
}

/** A line as `read_jsonl` of `spacy_clinner.corpora` has it. */
export function jsonl(text, findings) {
  const { spans, relations, attributes } = record(text, findings);
  const note = {
    clinner: 1,
    id: "note",
    text,
    spans: spans.map(({ id, label, start, end, text: surface }) => ({
      id,
      label,
      fragments: [[start, end]],
      surface,
    })),
    relations,
    attributes,
  };
  return new Blob([`${JSON.stringify(note)}\n`], { type: "application/jsonl" });
}

/** A task with one annotation, for Label Studio's import. */
export function labelStudio(text, findings) {
  const { spans, relations, attributes } = record(text, findings);
  const names = { to_name: "text" };
  const byId = new Map(spans.map((span) => [span.id, span]));
  const result = [
    ...spans.map(({ id, label, start, end, text: said }) => ({
      ...{ id, type: "labels", from_name: "label", ...names },
      value: { start, end, text: said, labels: [label] },
    })),
    ...attributes.map(({ label, target, value }) => {
      const { start, end } = byId.get(target);
      const chosen = { start, end, choices: [value ?? "yes"] };
      const from_name = label.toLowerCase();
      return { id: target, type: "choices", from_name, ...names, value: chosen };
    }),
    ...relations.map(({ label, head, tail }) => ({
      ...{ type: "relation", from_id: head, to_id: tail, direction: "right", labels: [label] },
    })),
  ];
  const task = { id: 1, data: { text }, annotations: [{ id: 1, result }] };
  return new Blob([JSON.stringify([task], null, 1)], { type: "application/json" });
}

const COLUMNS = [
  ...["layer", "label", "semantic_group", "start", "end", "text", "confidence", "assertion"],
  ...["negated", "uncertain", "hypothetical", "historical", "experiencer"],
  ...["cue_start", "cue_end", "cue_text", "evidence", "section"],
  ...["links", "corrected", "assertion_wrong", "assertion_right"],
];

/** The columns of the table `entities`, with links and corrections behind them. */
export function csv(text, findings) {
  const { toPoints } = offsetsOf(text);
  const rows = findings.map((finding) => {
    const { cue } = finding;
    const row = {
      ...judged(finding),
      semantic_group: finding.group,
      start: toPoints(finding.start),
      end: toPoints(finding.end),
      text: text.slice(finding.start, finding.end),
      cue_start: cue && toPoints(cue.start),
      cue_end: cue && toPoints(cue.end),
      cue_text: cue && text.slice(cue.start, cue.end),
      evidence: finding.evidence.join("; "),
      links: finding.links.map((link) => `${link.label}: ${words(link, text)}`).join("; "),
      corrected: finding.correction,
      assertion_wrong: finding.wrong,
      assertion_right: finding.right,
    };
    return COLUMNS.map((name) => cell(row[name])).join(",");
  });
  return new Blob([[COLUMNS.join(","), ...rows, ""].join("\r\n")], { type: "text/csv" });
}

/** Quoted where it must be; what a spreadsheet would compute is made text by an apostrophe. */
function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export const FORMATS = {
  brat: ["note.zip", brat],
  jsonl: ["note.jsonl", jsonl],
  labelstudio: ["note.json", labelStudio],
  csv: ["note.csv", csv],
};

/** Hands a file to the browser; nothing is sent. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}
