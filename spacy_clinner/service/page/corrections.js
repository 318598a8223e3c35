// What a person corrected. A correction replaces what the model found at the same place, also in
// later answers: who types on keeps what was corrected before.

import { inReadingOrder } from "./findings.js";

let made = 0;

/**
 * The corrections with one more.
 *
 * A correction is `{original, finding}`: what it replaces (layer, label and place of the model's
 * finding; null where a person added it), and by what (null where it was deleted).
 * finding: as it is shown now. change: the fields that become others; null to delete it.
 */
export function correct(corrections, finding, change) {
  const at = corrections.findIndex((one) => one.finding?.id === finding.id);
  const original = at < 0 ? placeOf(finding) : corrections[at].original;
  const rest = corrections.filter((_, index) => index !== at);
  if (change === null) return original ? [...rest, { original, finding: null }] : rest;
  const correction = original ? "changed by you" : "added by you";
  const id = at < 0 ? `c${(made += 1)}` : finding.id;
  const changed = { ...finding, ...change, id, correction };
  // The model was sure of its own words and label.
  const isOther = ["label", "start", "end"].some((name) => changed[name] !== finding[name]);
  if (isOther) changed.confidence = null;
  return [...without(rest, changed), { original, finding: changed }];
}

/** The corrections with a finding of a person's own, the last of them. */
export function add(corrections, place) {
  const unknown = ["confidence", "assertion", "negated", "uncertain", "hypothetical", "historical"];
  const finding = {
    ...Object.fromEntries(unknown.map((name) => [name, null])),
    ...{ experiencer: null, cue: null, evidence: [], section: null, links: [], wrong: false },
    ...place,
    id: `c${(made += 1)}`,
    correction: "added by you",
  };
  return [...without(corrections, finding), { original: null, finding }];
}

/** The corrections without a finding that is the same one: two would stand in one place. */
function without(corrections, finding) {
  const same = (one) => one.finding !== null && keyOf(one.finding) === keyOf(finding);
  return corrections
    .map((one) => (same(one) ? { ...one, finding: null } : one))
    .filter((one) => one.original !== null || one.finding !== null);
}

function placeOf({ layer, label, start, end }) {
  return { layer, label, start, end };
}

const keyOf = ({ layer, label, start, end }) => `${start} ${end} ${layer} ${label}`;

/** What the model found, corrected. Of two equal findings the person's own is kept. */
export function corrected(found, corrections) {
  if (!corrections.length) return found;
  const originals = corrections.map((one) => one.original).filter((place) => place !== null);
  const own = corrections.map((one) => one.finding).filter((finding) => finding !== null);
  const replaced = new Set([...originals, ...own].map(keyOf));
  const kept = found.filter((finding) => !replaced.has(keyOf(finding)));
  return [...kept, ...own].sort(inReadingOrder);
}

/**
 * The corrections for a text that was edited: those before and behind the edit move with their
 * words, those in it are gone.
 */
export function carry(corrections, before, after) {
  if (before === after) return corrections;
  const most = Math.min(before.length, after.length);
  let same = 0;
  while (same < most && before[same] === after[same]) same += 1;
  let behind = 0;
  while (behind < most - same && before.at(-1 - behind) === after.at(-1 - behind)) behind += 1;
  const moved = (span) => {
    if (span.end <= same) return span;
    if (span.start < before.length - behind) return null;
    const by = after.length - before.length;
    return { ...span, start: span.start + by, end: span.end + by };
  };
  return corrections.flatMap(({ original, finding }) => {
    const place = original && moved(original);
    if (original && !place) return [];
    if (!finding) return [{ original: place, finding }];
    const still = moved(finding);
    if (!still) return [];
    const links = finding.links.map(moved).filter((link) => link !== null);
    return [{ original: place, finding: { ...still, cue: still.cue && moved(still.cue), links } }];
  });
}
