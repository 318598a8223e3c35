// The note with its marks, block by block: those in sight first, so that a long note can be read
// while the rest of it is being marked.

import { el } from "./dom.js";
import { spoken, state } from "./findings.js";

// Characters of a block: few enough to be drawn within a frame.
const BLOCK = 1500;
const LONGEST = 12000;
// Milliseconds of drawing between two looks at what the person does.
const SLICE = 10;

/**
 * Draws into `root`. `color` gives a finding's; `onSelect` is called with a finding's id.
 *
 * RETURNS show(text, findings): draws what changed; select(id): marks the one that is selected;
 * rangesOf(span): where it stands; selection(): start and end of what is selected with the pointer;
 * step(id, by): the finding before or behind another.
 */
export function createNoteView(root, color, onSelect) {
  let text = "";
  let findings = [];
  let blocks = [];
  let selected = null;
  let stop = null;

  root.addEventListener("click", (event) => {
    const tag = event.target.closest(".tag");
    if (tag) return onSelect(tag.dataset.id);
    const mark = event.target.closest("mark");
    if (!mark || !getSelection().isCollapsed) return undefined;
    // Where findings lie over each other, a further click takes the next one.
    const over = mark.dataset.over.split(" ");
    return onSelect(over[(over.indexOf(selected) + 1) % over.length]);
  });
  root.addEventListener("keydown", (event) => {
    const tag = event.target.closest(".tag");
    const tags = tag ? [...root.querySelectorAll(".tag")] : [];
    const at = tags.indexOf(tag);
    const places = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tags.length - 1 };
    const next = tags[places[event.key]];
    if (!next) return;
    event.preventDefault();
    makeStop(next);
    next.focus();
  });
  root.addEventListener("focusin", (event) => {
    const tag = event.target.closest(".tag");
    if (tag) makeStop(tag);
  });

  /** The one mark that the tab key reaches; arrows go on from it. */
  function makeStop(tag) {
    if (stop && stop !== tag) stop.tabIndex = -1;
    stop = tag;
    stop.tabIndex = 0;
  }

  function show(newText, shown) {
    if (newText !== text || !blocks.length) {
      text = newText;
      blocks = cut(text).map(([start, end]) => ({ start, end, drawn: "", over: [], nodes: [] }));
      for (const block of blocks) {
        block.element = el("div", { class: "block" });
        fill(block, []);
      }
      root.replaceChildren(...blocks.map((block) => block.element));
      root.classList.toggle("long", blocks.length > 6);
    }
    findings = shown;
    for (const block of blocks) block.over = [];
    let first = 0;
    for (const finding of findings) {
      while (blocks[first + 1] && blocks[first + 1].start <= finding.start) first += 1;
      for (let at = first; blocks[at] && blocks[at].start < finding.end; at += 1) {
        blocks[at].over.push(finding);
      }
    }
    return drawBySlices(blocks.filter((block) => signature(block.over) !== block.drawn));
  }

  /** Draws these blocks, beginning with those in sight; another call takes over. */
  let turn = 0;
  async function drawBySlices(waiting) {
    turn += 1;
    const mine = turn;
    const tops = new Map(waiting.map((block) => [block, distance(block.element)]));
    waiting.sort((one, other) => tops.get(one) - tops.get(other));
    root.ariaBusy = "true";
    let since = performance.now();
    for (const block of waiting) {
      fill(block, block.over);
      if (performance.now() - since > SLICE) {
        await new Promise((resolve) => setTimeout(resolve));
        if (mine !== turn) return false;
        since = performance.now();
      }
    }
    if (!stop?.isConnected) {
      const tag = root.querySelector(".tag");
      if (tag) makeStop(tag);
    }
    root.ariaBusy = "false";
    return true;
  }

  function distance(element) {
    const { top, bottom } = element.getBoundingClientRect();
    return Math.max(top - innerHeight, -bottom, 0);
  }

  function fill(block, over) {
    const focused = block.element.contains(document.activeElement)
      ? document.activeElement.dataset.id
      : null;
    block.drawn = signature(over);
    block.nodes = [];
    block.element.replaceChildren(...pieces(block, over));
    if (focused) tagOf(focused, block.element)?.focus({ preventScroll: true });
    if (selected) emphasize(block.element);
  }

  /** The block's text, cut where a finding begins or ends. */
  function pieces(block, over) {
    const cuts = new Set([block.start, block.end]);
    for (const { start, end } of over) {
      cuts.add(Math.max(start, block.start)).add(Math.min(end, block.end));
    }
    const places = [...cuts].sort((one, other) => one - other);
    const put = (start, end) => {
      const node = document.createTextNode(text.slice(start, end));
      block.nodes.push({ node, start });
      return node;
    };
    const made = [];
    let open = [];
    let next = 0;
    for (let at = 0; at + 1 < places.length; at += 1) {
      const [start, end] = [places[at], places[at + 1]];
      open = open.filter((finding) => finding.end > start);
      while (over[next] && over[next].start <= start) open.push(over[(next += 1) - 1]);
      made.push(open.length ? marked(put, start, end, open) : put(start, end));
    }
    return made;
  }

  /** A piece of text over which findings lie; `put` makes a node of a part of it. */
  function marked(put, start, end, open) {
    // The shortest finding is on top; those under it are lines below the words.
    const over = [...open].sort((one, other) => one.end - one.start - (other.end - other.start));
    const [top, ...under] = over;
    const names = [state(top), top.start === start ? "from" : "", top.end === end ? "to" : ""];
    if (top.correction) names.push("own");
    if (top.wrong) names.push("wrong");
    const style = { "--mark": color(top) };
    under.slice(0, 2).forEach((finding, at) => (style[`--under-${at + 1}`] = color(finding)));
    if (under.length) names.push("over");
    const tags = over.filter((finding) => finding.end === end).map(tag);
    // The label stays in one line with the last word.
    const last = tags.length ? Math.max(start, end - (/\S{1,30}$/.exec(text.slice(start, end))?.[0].length ?? 0)) : end;
    return el(
      "mark",
      { class: names.join(" ").trim(), style, data: { over: over.map(({ id }) => id).join(" ") } },
      last > start ? el("span", {}, put(start, last)) : null,
      last < end ? el("span", { class: "keep" }, put(last, end), ...tags) : null,
    );
  }

  function tag(finding) {
    return el("button", {
      class: `tag ${state(finding)}`,
      type: "button",
      tabIndex: -1,
      text: finding.label,
      "aria-label": spoken(finding, text),
      data: { id: finding.id },
      style: { "--mark": color(finding) },
    });
  }

  function tagOf(id, within = root) {
    return within.querySelector(`.tag[data-id="${CSS.escape(id)}"]`);
  }

  function emphasize(within) {
    for (const old of within.querySelectorAll(".selected")) {
      old.classList.remove("selected");
      old.removeAttribute("aria-current");
    }
    if (!selected) return;
    for (const mark of within.querySelectorAll(`mark[data-over~="${CSS.escape(selected)}"]`)) {
      mark.classList.add("selected");
    }
    const own = tagOf(selected, within);
    own?.classList.add("selected");
    own?.setAttribute("aria-current", "true");
  }

  function select(id) {
    selected = id;
    emphasize(root);
  }

  /** Where a span of the text stands in the page, a range for each of its blocks. */
  function rangesOf({ start, end }) {
    return blocks
      .filter((block) => block.start < end && start < block.end)
      .map((block) => {
        const range = document.createRange();
        range.setStart(...placeIn(block, Math.max(start, block.start), false));
        range.setEnd(...placeIn(block, Math.min(end, block.end), true));
        return range;
      });
  }

  /** A place in the text as a node and an offset; one between two nodes is in either. */
  function placeIn(block, place, isEnd) {
    const found = block.nodes.findLast(({ start }) => (isEnd ? start < place : start <= place));
    const { node, start } = found ?? block.nodes[0];
    return [node, place - start];
  }

  /** What is selected with the pointer, without white space at its ends; null where nothing is. */
  function selection() {
    const chosen = getSelection();
    if (!chosen.rangeCount || chosen.isCollapsed) return null;
    const range = chosen.getRangeAt(0);
    if (!range.intersectsNode(root)) return null;
    let [start, end] = [text.length, 0];
    for (const block of blocks) {
      if (!range.intersectsNode(block.element)) continue;
      for (const { node, start: from } of block.nodes) {
        if (!range.intersectsNode(node)) continue;
        start = Math.min(start, from + (node === range.startContainer ? range.startOffset : 0));
        end = Math.max(
          end,
          from + (node === range.endContainer ? range.endOffset : node.length),
        );
      }
    }
    return trimmed({ start, end }, text);
  }

  function step(id, by) {
    const at = findings.findIndex((finding) => finding.id === id);
    return findings[(at + by + findings.length) % findings.length]?.id ?? null;
  }

  return { show, select, rangesOf, selection, step, tagOf };
}

/** A span without white space at its ends; null where nothing is left. */
export function trimmed({ start, end }, text) {
  while (start < end && /\s/.test(text[start])) start += 1;
  while (start < end && /\s/.test(text[end - 1])) end -= 1;
  return start < end ? { start, end } : null;
}

/** Where blocks begin and end: behind a line's end, or within a line that is very long. */
export function cut(text) {
  const extents = [];
  let start = 0;
  while (start < text.length) {
    let end = text.indexOf("\n", start + BLOCK) + 1 || text.length;
    if (end - start > LONGEST) end = text.lastIndexOf(" ", start + LONGEST) + 1;
    if (end <= start) end = Math.min(start + LONGEST, text.length);
    if (/[\udc00-\udfff]/.test(text[end] ?? "")) end += 1;
    extents.push([start, end]);
    start = end;
  }
  return extents;
}

function signature(over) {
  return over
    .map(({ id, label, correction, wrong, start, end }) => [id, label, correction, wrong, start, end])
    .join(";");
}
