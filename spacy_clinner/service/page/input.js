// Where text comes from: typed, pasted, dropped, an example; and when it is sent.

import { byId, count, el } from "./dom.js";
import { trimmed } from "./note.js";
import { wellFormed } from "./offsets.js";

// Milliseconds without a key before the text is sent; longer where answers take long.
const PAUSE = 300;
const LONGEST_PAUSE = 1500;
// A file that is no text, or far beyond what any service takes, is not read.
const LARGEST_FILE = 20_000_000;

/**
 * service: what is asked. layers(): those to ask for. onAnswer(answer, text): what came, null for
 * an empty text; gives the number of findings shown. onSelection(span): what is selected in the text that was answered last, or null.
 * noteSelection(): what is selected in the marked note. answered(): the text that it shows.
 */
export function createInput({ service, layers, onAnswer, onSelection, noteSelection, answered }) {
  const area = byId("text");
  let timer = null;
  let running = null;
  let took = PAUSE;
  let limit = Infinity;
  let ready = false;
  let selected = null;
  let onModel = () => {};

  const say = (text) => (byId("status").textContent = text);
  const current = () => wellFormed(area.value);

  function changed(pause = Math.min(Math.max(took, PAUSE), LONGEST_PAUSE)) {
    clearTimeout(timer);
    running?.abort();
    timer = setTimeout(send, pause);
  }

  async function send() {
    const text = current();
    alarm(null);
    if (!text.trim()) {
      say("");
      return onAnswer(null, text);
    }
    if (text.length > limit && [...text].length > limit) {
      return alarm(`The note is longer than the ${count(limit, "character")} that this service takes.`);
    }
    if (!ready && !(await meet())) return undefined;
    const request = new AbortController();
    running = request;
    const since = performance.now();
    say("Reading …");
    try {
      const answer = await service.annotate(text, layers(), request.signal);
      // Whoever typed on gets the answer to what stands there now, not this one.
      if (request.signal.aborted) return undefined;
      took = performance.now() - since;
      if (answer.status === "failed") throw new Error(`The model failed here: ${answer.error}`);
      const number = onAnswer(answer, text);
      const time = Math.round(took).toLocaleString("en");
      return say(`${count(number, "finding")} shown · answered in ${time} ms`);
    } catch (error) {
      if (error.name !== "AbortError") refused(error);
      return undefined;
    }
  }

  function refused(error) {
    say("");
    byId("key").hidden = error.status !== 401;
    if (error.status === 401) return byId("key-value").focus();
    if (error.wait) {
      alarm(`${error.message} The page tries again by itself.`);
      return changed(1000 * error.wait);
    }
    return alarm(error.message);
  }

  /** The first question: what the service is. */
  async function meet() {
    try {
      const [model, { examples }] = await Promise.all([service.model(), service.examples()]);
      limit = model.limits?.note_characters ?? Infinity;
      onModel(model);
      byId("examples").replaceChildren(...examples.map(example));
      byId("key").hidden = true;
      ready = true;
    } catch (error) {
      refused(error);
    }
    return ready;
  }

  function example({ title, text }) {
    const click = () => set(text);
    return el("button", { type: "button", class: "example", text: title, on: { click } });
  }

  function set(text) {
    area.value = text;
    area.scrollTop = 0;
    changed(0);
  }

  function alarm(text) {
    byId("alert").hidden = !text;
    byId("alert").textContent = text ?? "";
  }

  async function open(file) {
    if (!file) return;
    if (file.size > LARGEST_FILE) return alarm("The file is too large.");
    const bytes = await file.arrayBuffer();
    let text;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      text = new TextDecoder("windows-1252").decode(bytes);
    }
    if (text.includes("\0")) return alarm("This is no text file. Save the note as text first.");
    return set(text);
  }

  area.addEventListener("input", () => changed());
  byId("clear").addEventListener("click", () => {
    set("");
    area.focus();
  });
  byId("file").addEventListener("change", (event) => {
    open(event.target.files[0]);
    event.target.value = "";
  });
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    open(event.dataTransfer.files[0]);
  });
  byId("key").addEventListener("submit", (event) => {
    event.preventDefault();
    service.setKey(byId("key-value").value);
    byId("key-value").value = "";
    meet().then((isKnown) => isKnown && changed(0));
  });
  document.addEventListener("selectionchange", () => {
    // Controls that do something with the selection take the focus, and leave it as it is.
    if (document.activeElement.closest("#side")) return;
    selected = selection();
    onSelection(selected);
  });

  function selection() {
    if (current() !== answered()) return null;
    if (document.activeElement !== area) return noteSelection();
    const { selectionStart: start, selectionEnd: end } = area;
    return trimmed({ start, end }, current());
  }

  return {
    selection: () => (current() === answered() ? selected : null),
    start(then) {
      onModel = then;
      return meet();
    },
  };
}
