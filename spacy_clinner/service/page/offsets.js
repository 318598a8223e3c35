// The service counts characters as Python does, in code points; a browser counts UTF-16 units.

const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const PAIR = /[\ud800-\udbff][\udc00-\udfff]/g;

/** A text without halves of surrogate pairs, which UTF-8 cannot hold; no offset changes by it. */
export function wellFormed(text) {
  return text.replace(LONE, "\ufffd");
}

/** Both ways between the code points and the UTF-16 units of a well-formed text. */
export function offsetsOf(text) {
  // The code points at which a pair begins: behind the nth, units are n ahead.
  const pairs = [...text.matchAll(PAIR)].map((found, before) => found.index - before);
  return {
    toUnits: (point) => point + countBelow(pairs, point),
    toPoints: (unit) => unit - countBelow(pairs, unit, (pair, before) => pair + before),
  };
}

/** How many pairs begin before a place; `place` says where the one at an index does. */
function countBelow(pairs, limit, place = (pair) => pair) {
  let low = 0;
  let high = pairs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (place(pairs[middle], middle) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
