// What a person corrected. A correction replaces what the model found at the same place, also in
// later answers: who types on keeps what was corrected before.

import { moved } from "./edits.js";
import { inReadingOrder, JUDGED } from "./findings.js";

let made = 0;

/**
 * The corrections with one more.
 *
 * A correction is `{original, finding}`: what it replaces (layer, label and place of the model's
 * finding; null where a person added it), and by what (null where it was deleted).
 * finding: as it is shown now. change: the fields that become others; null to delete it.
 * mayLink(finding, modifier): whether a link between them is legal.
 */
export function correct(corrections, finding, change, mayLink = () => true) {
  const at = corrections.findIndex((one) => one.finding?.id === finding.id);
  const original = at < 0 ? placeOf(finding) : corrections[at].original;
  const others = corrections.filter((_, index) => index !== at);
  if (change === null) {
    const rest = follow(others, new Map([[linkKey(finding), null]]), mayLink);
    return original ? [...rest, { original, finding: null }] : rest;
  }
  const correction = original ? "changed by you" : "added by you";
  const id = at < 0 ? `c${(made += 1)}` : finding.id;
  const changed = { ...finding, ...change, id, correction };
  // The model was sure of its own words and label.
  const isOther = ["label", "start", "end"].some((name) => changed[name] !== finding[name]);
  if (isOther) changed.confidence = null;
  if (changed.label !== finding.label) {
    changed.links = changed.links.filter((link) => mayLink(changed, link));
  }
  const rest = isOther ? follow(others, new Map([[linkKey(finding), changed]]), mayLink) : others;
  return [...without(rest, changed), { original, finding: changed }];
}

/** The corrections with a finding of a person's own, the last of them. */
export function add(corrections, place) {
  const finding = {
    ...Object.fromEntries(["confidence", ...JUDGED].map((name) => [name, null])),
    ...{ cue: null, evidence: [], section: null, links: [], wrong: false },
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

/** Links hold the label and the place of their modifier, and nothing of its layer. */
const linkKey = ({ label, start, end }) => `${start} ${end} ${label}`;

/** The corrections, where modifiers are others now: `now`, by what a link to them says, or null. */
function follow(corrections, now, mayLink) {
  return corrections.map((one) => {
    return one.finding ? { ...one, finding: relinked(one.finding, now, mayLink) } : one;
  });
}

/** A finding whose links go where its modifiers went; what is gone or may not be linked is left out. */
function relinked(finding, now, mayLink) {
  if (!finding.links.some((link) => now.has(linkKey(link)))) return finding;
  const links = finding.links.flatMap((link) => {
    const modifier = now.get(linkKey(link));
    if (modifier === undefined) return [link];
    if (modifier === null || !mayLink(finding, modifier)) return [];
    const { label, start, end } = modifier;
    return [{ label, start, end, confidence: null }];
  });
  return { ...finding, links: [...new Map(links.map((link) => [linkKey(link), link])).values()] };
}

/**
 * What the model found, corrected. Of two equal findings the person's own is kept.
 *
 * mayLink: as in `correct`.
 */
export function corrected(found, corrections, mayLink = () => true) {
  if (!corrections.length) return found;
  const originals = corrections.map((one) => one.original).filter((place) => place !== null);
  const own = corrections.map((one) => one.finding).filter((finding) => finding !== null);
  const replaced = new Set([...originals, ...own].map(keyOf));
  const now = new Map(
    corrections
      .filter(({ original, finding }) => original && (!finding || keyOf(finding) !== keyOf(original)))
      .map(({ original, finding }) => [linkKey(original), finding]),
  );
  const kept = found
    .filter((finding) => !replaced.has(keyOf(finding)))
    .map((finding) => relinked(finding, now, mayLink));
  return [...kept, ...own].sort(inReadingOrder);
}

/**
 * The corrections for a text that was edited: those before and behind the edits move with their
 * words, those in them are gone.
 */
export function carry(corrections, edits) {
  if (!edits.length) return corrections;
  const there = (span) => moved(span, edits);
  return corrections.flatMap(({ original, finding }) => {
    const place = original && there(original);
    if (original && !place) return [];
    if (!finding) return [{ original: place, finding }];
    const still = there(finding);
    if (!still) return [];
    const links = finding.links.map(there).filter((link) => link !== null);
    return [{ original: place, finding: { ...still, cue: still.cue && there(still.cue), links } }];
  });
}

/** Of what the corrections were, one after the other, what is another than what came next. */
export function steps(past, corrections) {
  const told = [...past, corrections].map((one) => JSON.stringify(one));
  return past.filter((_, at) => told[at] !== told[at + 1]);
}
