// What belongs to the selected finding, drawn over the note: a frame around its cue and its linked
// modifiers, and a line to each of them.

const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/**
 * Draws into `canvas`, an SVG that lies over the note.
 *
 * finding: the one that is selected, or null. rangesOf: where a span stands.
 */
export function drawLines(canvas, finding, rangesOf) {
  canvas.replaceChildren();
  if (!finding) return;
  const origin = canvas.getBoundingClientRect();
  const rectangles = (span) =>
    rangesOf(span)
      .flatMap((range) => [...range.getClientRects()])
      .filter(({ width }) => width > 1)
      .map(({ left, top, width, height }) => ({
        x: left - origin.left,
        y: top - origin.top,
        width,
        height,
      }))
      .reduce(joined, []);
  const own = rectangles(finding);
  if (!own.length) return;
  const isCue = ({ start, end }) => finding.cue?.start === start && finding.cue?.end === end;
  const linked = finding.links.map((link) => ({ ...link, kind: isCue(link) ? "cue" : "link" }));
  const cue = finding.cue && !linked.some(isCue) ? [{ ...finding.cue, kind: "cue" }] : [];
  for (const target of [...cue, ...linked]) {
    const frames = rectangles(target);
    for (const { x, y, width, height } of frames) {
      const box = { x: x - 2, y: y - 1, width: width + 4, height: height + 2, rx: 4 };
      canvas.append(shape("rect", { class: `frame ${target.kind}`, ...box }));
    }
    if (frames.length) canvas.append(...line(own[0], frames[0], target.kind));
  }
}

/** Boxes with one more: one box for words that stand side by side, such as a space at a line's end. */
function joined(boxes, box) {
  const beside = boxes.findIndex(
    ({ x, y, width, height }) =>
      Math.abs(y - box.y) < height / 2 && x <= box.x + box.width + 1 && box.x <= x + width + 1,
  );
  if (beside < 0) return [...boxes, box];
  const { x, y, width, height } = boxes[beside];
  const left = Math.min(x, box.x);
  const top = Math.min(y, box.y);
  const whole = {
    x: left,
    y: top,
    width: Math.max(x + width, box.x + box.width) - left,
    height: Math.max(y + height, box.y + box.height) - top,
  };
  return boxes.with(beside, whole);
}

/** From one box to another: over the words where both stand in one line, else down the page. */
function line(from, to, kind) {
  const middle = ({ x, width }) => x + width / 2;
  const [x1, x2] = [middle(from), middle(to)];
  const level = Math.abs(from.y - to.y) < from.height / 2;
  let path;
  let end;
  if (level) {
    const rise = Math.min(14, 6 + Math.abs(x2 - x1) / 40);
    const top = Math.min(from.y, to.y);
    path = `M${x1},${from.y} C${x1},${top - rise} ${x2},${top - rise} ${x2},${to.y}`;
    end = to.y;
  } else {
    const down = to.y > from.y;
    const start = down ? from.y + from.height : from.y;
    end = down ? to.y : to.y + to.height;
    const half = (start + end) / 2;
    path = `M${x1},${start} C${x1},${half} ${x2},${half} ${x2},${end}`;
  }
  return [
    shape("path", { class: `line ${kind}`, d: path }),
    shape("circle", { class: `end ${kind}`, cx: x2, cy: end, r: 2.5 }),
  ];
}
