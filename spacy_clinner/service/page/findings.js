// What was found in a note, and how it is put in words: the language of `clinner view`.

import { offsetsOf } from "./offsets.js";

/** What is asserted of a finding. */
export const JUDGED = "assertion negated uncertain hypothetical historical experiencer".split(" ");

/**
 * The findings of an answer, in reading order. `start`, `end` and those of cues and links count
 * UTF-16 units, as everything here does.
 */
export function findings(answer, text) {
  const { toUnits } = offsetsOf(text);
  const span = (start, end) => ({ start: toUnits(start), end: toUnits(end) });
  const links = new Map();
  for (const link of answer.links) {
    const of = links.get(link.entity_id) ?? [];
    const { label, confidence } = link;
    of.push({ label, confidence, ...span(link.start, link.end) });
    links.set(link.entity_id, of);
  }
  const found = answer.entities.map((row, at) => ({
    id: `m${at}`,
    layer: row.layer,
    label: row.label,
    group: row.semantic_group,
    ...span(row.start, row.end),
    confidence: row.confidence,
    assertion: row.assertion,
    negated: row.negated,
    uncertain: row.uncertain,
    hypothetical: row.hypothetical,
    historical: row.historical,
    experiencer: row.experiencer,
    cue: row.cue_start === null ? null : span(row.cue_start, row.cue_end),
    evidence: row.evidence ?? [],
    section: row.section,
    links: links.get(row.entity_id) ?? [],
    correction: null,
    wrong: false,
  }));
  return found.sort(inReadingOrder);
}

export function inReadingOrder(one, other) {
  return one.start - other.start || other.end - one.end || (one.layer < other.layer ? -1 : 1);
}

const SOMEONE_ELSE = "associated_with_someone_else";

// A link to such a modifier says that one of these is asserted.
const ASSERTED_BY = {
  NEGATION: ["absent", SOMEONE_ELSE],
  UNCERTAIN: ["possible", SOMEONE_ELSE],
  CONDITION: ["conditional", "hypothetical", SOMEONE_ELSE],
  SUBJECT: [SOMEONE_ELSE],
};

/**
 * A finding with what is asserted of it as a person corrected it (`before`: what the model did), and
 * without links that say something else; nothing is asserted where only that is wrong.
 */
export function judged(finding) {
  if (!finding.wrong) return finding;
  const nothing = Object.fromEntries(JUDGED.map((name) => [name, null]));
  const { assertion: before, right, historical, experiencer } = finding;
  const says = ({ label }) => ASSERTED_BY[label.toUpperCase()]?.includes(right) ?? true;
  const links = finding.links.filter(says);
  if (!right) return { ...finding, ...nothing, before, links };
  const someone = ["family", "other"].includes(experiencer) ? experiencer : "other";
  return {
    ...{ ...finding, before, links },
    assertion: right,
    negated: right === "absent",
    uncertain: right === "possible",
    hypothetical: right === "hypothetical",
    historical,
    experiencer: right === SOMEONE_ELSE ? someone : "patient",
  };
}

/** How a finding is drawn. */
export function state(finding) {
  if (finding.uncertain) return "possible";
  if (finding.negated) return "absent";
  const pale =
    finding.hypothetical ||
    finding.historical ||
    ![null, "patient"].includes(finding.experiencer) ||
    ![null, "present"].includes(finding.assertion);
  return pale ? "other" : "present";
}

/** What is asserted of a finding, in words. */
export function said(finding) {
  const words = [(finding.assertion ?? "not judged").replaceAll("_", " ")];
  const { negated, uncertain, historical, hypothetical } = finding;
  const further = { absent: negated, possible: uncertain, historical, hypothetical };
  for (const [name, holds] of Object.entries(further)) {
    if (holds && !words.includes(name)) words.push(name);
  }
  if (![null, "patient"].includes(finding.experiencer)) words.push(`of ${finding.experiencer}`);
  return words.join(", ");
}

/** What decided: "rule:neg_denies" as "rule neg_denies". */
export function decided(finding) {
  const kinds = { rule: "rule", modifier: "linked modifier", section: "section" };
  return finding.evidence.map((item) => {
    const [kind, ...name] = item.split(":");
    return kinds[kind] ? `${kinds[kind]} ${name.join(":")}` : item;
  });
}

/** A probability with two digits; nothing where nobody computed one. */
export function percent(confidence) {
  return confidence === null || confidence === undefined ? "–" : confidence.toFixed(2);
}

/** All that is known at a glance, for who hears the page. */
export function spoken(finding, text) {
  const parts = [words(finding, text), finding.label, said(finding)];
  if (finding.confidence !== null) parts.push(`confidence ${percent(finding.confidence)}`);
  if (finding.correction) parts.push(finding.correction);
  return parts.join(", ");
}

/** The words of a span, in one line. */
export function words(span, text) {
  return text.slice(span.start, span.end).replace(/\s+/g, " ");
}

/**
 * Which findings are shown.
 *
 * filter: `layers` and `hidden` (sets of layers that are on, and of "layer label" that are off) and
 * `least`, the lowest confidence. What nobody scored is shown.
 */
export function isShown(finding, filter) {
  const { layer, label } = finding;
  const isOn = filter.layers.has(layer) && !filter.hidden.has(`${layer} ${label}`);
  return isOn && isSure(finding, filter);
}

export function isSure({ confidence }, filter) {
  return confidence === null || confidence >= filter.least;
}
