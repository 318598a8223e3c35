// How a text became another one while it was edited, and where a place of it went.

/**
 * One edit: the characters from `start` to `end` became `length` others. `isWhole`: none but white
 * space was left of the text.
 *
 * touched: what was selected before or behind it, as a part of `before`: that is of the edit, though
 * the same letters may stand there again. null where nobody knows.
 */
export function editOf(before, after, touched) {
  const differing = difference(before, after);
  const start = Math.min(differing.start, touched?.start ?? differing.start);
  const end = Math.max(differing.end, touched?.end ?? differing.end);
  const isWhole = !before.slice(0, start).trim() && !before.slice(end).trim();
  return { start, end, length: after.length - before.length + end - start, isWhole };
}

/** Whether nothing of a text was taken away. */
export function isInserted(before, after) {
  const { start, end } = difference(before, after);
  return start === end;
}

/** The part of a text that stands no more in the one that was made of it. */
function difference(before, after) {
  const most = Math.min(before.length, after.length);
  let same = 0;
  while (same < most && before[same] === after[same]) same += 1;
  let behind = 0;
  while (behind < most - same && before.at(-1 - behind) === after.at(-1 - behind)) behind += 1;
  return { start: same, end: before.length - behind };
}

/** Where a span stands when all edits are done; null where one of them was in it. */
export function moved(span, edits) {
  let now = span;
  for (const { start, end, length } of edits) {
    if (now.end <= start) continue;
    if (now.start < end) return null;
    const by = length - (end - start);
    now = { ...now, start: now.start + by, end: now.end + by };
  }
  return now;
}
