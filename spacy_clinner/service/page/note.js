// The note with its marks, block by block: those in sight first, so that a long note can be read
// while the rest of it is being marked.

import { el } from "./dom.js";
import { spoken, state } from "./findings.js";

// Characters of a block: few enough to be drawn within a frame.
const BLOCK = 1500;
const LONGEST = 12000;
// Blocks from which on those out of sight are not laid out.
const MANY = 6;
// Milliseconds of drawing between two looks at what the person does.
const SLICE = 10;
const LAST_WORD = /\S{1,30}$/;

/** The view of a note. Offsets count UTF-16 units. */
export class NoteView {
  #root;
  #color;
  #onSelect;
  #text = "";
  #findings = [];
  #blocks = [];
  #selected = null;
  // The one mark that the tab key reaches.
  #stop = null;
  #turn = 0;

  /** root: where it draws. color: a finding's. onSelect: told the id of a finding. */
  constructor(root, color, onSelect) {
    this.#root = root;
    this.#color = color;
    this.#onSelect = onSelect;
    root.addEventListener("click", (event) => this.#click(event));
    root.addEventListener("keydown", (event) => this.#walk(event));
    root.addEventListener("focusin", ({ target }) => {
      if (target.matches(".tag")) this.#makeStop(target);
    });
  }

  /** Draws what changed; resolves to whether all of it was drawn before another call came. */
  show(text, findings) {
    if (text !== this.#text || !this.#blocks.length) this.#lay(text);
    this.#findings = findings;
    this.#distribute();
    return this.#draw(this.#blocks.filter((block) => signature(block.over) !== block.drawn));
  }

  /** Marks a finding as the one that is selected; null for none. */
  select(id) {
    this.#selected = id;
    this.#emphasize(this.#root);
  }

  /** The id of the finding `by` places behind another. */
  step(id, by) {
    const all = this.#findings;
    const at = all.findIndex((finding) => finding.id === id);
    return all[(at + by + all.length) % all.length]?.id ?? null;
  }

  /** The button of a finding's mark. */
  tagOf(id, within = this.#root) {
    return within.querySelector(`.tag[data-id="${CSS.escape(id)}"]`);
  }

  /** Where a span of the text stands on the page: a range for each of its blocks. */
  rangesOf({ start, end }) {
    return this.#blocks
      .filter((block) => block.start < end && start < block.end)
      .map((block) => {
        const range = document.createRange();
        range.setStart(...placeIn(block, Math.max(start, block.start), false));
        range.setEnd(...placeIn(block, Math.min(end, block.end), true));
        return range;
      });
  }

  /** What is selected in it with the pointer; null where nothing is. */
  selection() {
    const chosen = getSelection();
    if (!chosen.rangeCount || chosen.isCollapsed) return null;
    const range = chosen.getRangeAt(0);
    let [start, end] = [this.#text.length, 0];
    for (const { element, nodes } of this.#blocks) {
      if (!range.intersectsNode(element)) continue;
      for (const { node, start: from } of nodes.filter(({ node }) => range.intersectsNode(node))) {
        const [first, last] = [node === range.startContainer, node === range.endContainer];
        start = Math.min(start, from + (first ? range.startOffset : 0));
        end = Math.max(end, from + (last ? range.endOffset : node.length));
      }
    }
    return trimmed({ start, end }, this.#text);
  }

  #click({ target }) {
    const tag = target.closest(".tag");
    if (tag) return this.#onSelect(tag.dataset.id);
    const mark = target.closest("mark");
    if (!mark || !getSelection().isCollapsed) return undefined;
    // Where findings lie over each other, a further click takes the next one.
    const over = mark.dataset.over.split(" ");
    return this.#onSelect(over[(over.indexOf(this.#selected) + 1) % over.length]);
  }

  /** Arrow keys go from mark to mark. */
  #walk(event) {
    if (!event.target.matches(".tag")) return;
    const tags = [...this.#root.querySelectorAll(".tag")];
    const at = tags.indexOf(event.target);
    const places = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tags.length - 1 };
    const next = tags[places[event.key]];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }

  #makeStop(tag) {
    if (this.#stop) this.#stop.tabIndex = -1;
    this.#stop = tag;
    tag.tabIndex = 0;
  }

  /** The text without marks, in blocks. */
  #lay(text) {
    this.#text = text;
    this.#blocks = cut(text).map(([start, end]) => ({
      ...{ start, end, drawn: "", over: [], nodes: [] },
      element: el("div", { class: "block" }),
    }));
    for (const block of this.#blocks) this.#fill(block);
    this.#root.replaceChildren(...this.#blocks.map(({ element }) => element));
    this.#root.classList.toggle("long", this.#blocks.length > MANY);
  }

  /** Tells each block which findings lie over it. */
  #distribute() {
    const blocks = this.#blocks;
    for (const block of blocks) block.over = [];
    let first = 0;
    for (const finding of this.#findings) {
      while (blocks[first + 1]?.start <= finding.start) first += 1;
      for (let at = first; blocks[at]?.start < finding.end; at += 1) blocks[at].over.push(finding);
    }
  }

  async #draw(waiting) {
    this.#turn += 1;
    const turn = this.#turn;
    const away = new Map(waiting.map((block) => [block, distance(block.element)]));
    waiting.sort((one, other) => away.get(one) - away.get(other));
    this.#root.ariaBusy = "true";
    let since = performance.now();
    for (const block of waiting) {
      this.#fill(block);
      if (performance.now() - since > SLICE) {
        await new Promise((resolve) => setTimeout(resolve));
        if (turn !== this.#turn) return false;
        since = performance.now();
      }
    }
    if (!this.#stop?.isConnected) {
      const tag = this.#root.querySelector(".tag");
      if (tag) this.#makeStop(tag);
    }
    this.#root.ariaBusy = "false";
    return true;
  }

  #fill(block) {
    const { element, over } = block;
    const hasFocus = element.contains(document.activeElement);
    const focused = hasFocus ? document.activeElement.dataset.id : null;
    block.drawn = signature(over);
    block.nodes = [];
    element.replaceChildren(...this.#pieces(block));
    if (focused) this.tagOf(focused, element)?.focus({ preventScroll: true });
    if (this.#selected) this.#emphasize(element);
  }

  /** A block's text, cut where a finding begins or ends. */
  #pieces(block) {
    const cuts = new Set([block.start, block.end]);
    for (const { start, end } of block.over) {
      cuts.add(Math.max(start, block.start)).add(Math.min(end, block.end));
    }
    const places = [...cuts].sort((one, other) => one - other);
    const made = [];
    let open = [];
    let next = 0;
    for (let at = 0; at + 1 < places.length; at += 1) {
      const [start, end] = [places[at], places[at + 1]];
      open = open.filter((finding) => finding.end > start);
      for (; block.over[next]?.start <= start; next += 1) open.push(block.over[next]);
      const piece = { block, start, end };
      made.push(open.length ? this.#marked(piece, open) : this.#put(piece));
    }
    return made;
  }

  /** A part of the text as a node. */
  #put({ block, start, end }) {
    const node = document.createTextNode(this.#text.slice(start, end));
    block.nodes.push({ node, start });
    return node;
  }

  /** A piece over which findings lie: the shortest is on top, others are lines below the words. */
  #marked(piece, open) {
    const { start, end } = piece;
    const length = (finding) => finding.end - finding.start;
    const over = [...open].sort((one, other) => length(one) - length(other));
    const [top, ...under] = over;
    const style = { "--mark": this.#color(top) };
    under.slice(0, 2).forEach((one, at) => (style[`--under-${at + 1}`] = this.#color(one)));
    const names = [
      state(top),
      top.start === start && "from",
      top.end === end && "to",
      top.correction && "own",
      top.wrong && "wrong",
      under.length && `over-${Math.min(under.length, 2)}`,
    ];
    const tags = over.filter((finding) => finding.end === end).map((one) => this.#tag(one));
    // Labels stay in one line with the last word.
    const word = LAST_WORD.exec(this.#text.slice(start, end))?.[0].length ?? 0;
    const last = tags.length ? end - word : end;
    const parts = [];
    if (last > start) parts.push(el("span", {}, this.#put({ ...piece, end: last })));
    const kept = last < end ? [this.#put({ ...piece, start: last })] : [];
    if (tags.length) parts.push(el("span", { class: "keep" }, ...kept, ...tags));
    const data = { over: over.map(({ id }) => id).join(" ") };
    return el("mark", { class: names.filter(Boolean).join(" "), style, data }, ...parts);
  }

  #tag(finding) {
    return el("button", {
      class: "tag",
      type: "button",
      tabIndex: -1,
      text: finding.label,
      "aria-label": spoken(finding, this.#text),
      data: { id: finding.id },
    });
  }

  #emphasize(within) {
    for (const old of within.querySelectorAll(".selected")) {
      old.classList.remove("selected");
      old.removeAttribute("aria-current");
    }
    const id = this.#selected;
    if (!id) return;
    for (const mark of within.querySelectorAll(`mark[data-over~="${CSS.escape(id)}"]`)) {
      mark.classList.add("selected");
    }
    this.tagOf(id, within)?.setAttribute("aria-current", "true");
    this.tagOf(id, within)?.classList.add("selected");
  }
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

/** How far an element is out of sight. */
function distance(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return Math.max(top - innerHeight, -bottom, 0);
}

/** A place in a block as a node and an offset; one between two nodes is in either. */
function placeIn({ nodes }, place, isEnd) {
  const found = nodes.findLast(({ start }) => (isEnd ? start < place : start <= place));
  const { node, start } = found ?? nodes[0];
  return [node, place - start];
}

/** What a block shows, to see whether it changed. */
function signature(over) {
  const shown = ({ id, label, correction, wrong, start, end }) =>
    [id, label, correction, wrong, start, end].join();
  return over.map(shown).join(";");
}
