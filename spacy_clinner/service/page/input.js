// Where text comes from: typed, pasted, dropped, an example; and when it is sent.

import { byId, count, el } from "./dom.js";
import { editOf, isInserted } from "./edits.js";
import { trimmed } from "./note.js";
import { wellFormed } from "./offsets.js";

// Milliseconds without a key before the text is sent; longer where answers take long.
const PAUSE = 300;
const LONGEST_PAUSE = 1500;
// Bytes of a file; what is far beyond any note is not read.
const LARGEST_FILE = 20_000_000;
// PDF and RTF, which may be bytes of a text and are none.
const OTHER_FORMATS = /^(%PDF-|\{\\rtf)/;

/** The note that is worked on, and what is asked of the service about it. */
export class Input {
  #area = byId("text");
  #service;
  #page;
  #timer = null;
  #running = null;
  #took = PAUSE;
  #limit = Infinity;
  #isReady = false;
  #selected = null;
  // What stood there before the last edit, and what was selected in it; null where nobody knows.
  #before = "";
  #touched = null;
  // Edits since the text that was answered.
  #edits = [];

  /**
   * page: `know(model)`, told what the service is; `take(answer, text, edits)`, told what came
   * (null for an empty text) and how the text was made of the one that is shown, gives the number
   * of findings shown; `refuse(edits)`, told that there is no answer; `outdate(isOutdated)`, told
   * that another note was put in; `answered()`, the text that is shown; `selection()`, what is
   * selected in it; `offer(span)`, told what is selected there or in the text, or null.
   */
  constructor(service, page) {
    this.#service = service;
    this.#page = page;
    this.#before = this.#area.value;
    this.#listen();
    document.addEventListener("selectionchange", () => {
      // Controls that do something with the selection take the focus, and leave it as it is.
      if (document.activeElement.closest("#side")) return;
      this.#selected = this.#current();
      page.offer(this.#selected);
    });
  }

  /** What is selected in the text that was answered last; null where it was edited since. */
  selection() {
    return this.#text() === this.#page.answered() ? this.#selected : null;
  }

  /** The first questions: what the service is, and its examples. hasKey: a key was just given. */
  async meet(hasKey = false) {
    try {
      const asked = [this.#service.model(), this.#service.examples()];
      const [model, { examples }] = await Promise.all(asked);
      this.#limit = model.limits.note_characters;
      this.#page.know(model);
      byId("examples").replaceChildren(...examples.map((example) => this.#example(example)));
      byId("key").hidden = true;
      this.#isReady = true;
    } catch (error) {
      this.#refused(error);
      if (hasKey && error.status === 401) alarm("This key is wrong. Ask who runs the service.");
    }
    return this.#isReady;
  }

  #listen() {
    this.#area.addEventListener("beforeinput", () => (this.#touched = this.#marked()));
    this.#area.addEventListener("input", ({ inputType }) => {
      this.#note(inputType);
      this.#changed();
    });
    byId("clear").addEventListener("click", () => {
      this.#set("");
      this.#area.focus();
    });
    byId("file").addEventListener("change", ({ target }) => {
      this.#open(target.files[0]);
      target.value = "";
    });
    document.addEventListener("dragover", (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      document.body.classList.add("dropping");
    });
    document.addEventListener("dragleave", ({ relatedTarget }) => {
      if (!relatedTarget) document.body.classList.remove("dropping");
    });
    document.addEventListener("drop", (event) => {
      document.body.classList.remove("dropping");
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      this.#open(event.dataTransfer.files[0]);
    });
    byId("key").addEventListener("submit", async (event) => {
      event.preventDefault();
      this.#service.setKey(byId("key-value").value);
      byId("key-value").value = "";
      if (await this.meet(true)) this.#changed(0);
    });
  }

  #text() {
    return wellFormed(this.#area.value);
  }

  #set(text) {
    this.#area.value = text;
    this.#area.scrollTop = 0;
    this.#touched = null;
    this.#note();
    this.#changed(0);
  }

  /** Keeps how the text was edited. Where a program put in a whole text, that is another note. */
  #note(inputType = "") {
    const [before, after] = [this.#before, this.#area.value];
    // Lines that are put in at once are told one by one.
    if (before === after && inputType) return;
    const whole = { start: 0, end: before.length };
    const touched = this.#touched ?? (inputType && isInserted(before, after) ? null : whole);
    if (touched && inputType.startsWith("history")) {
      // What is taken back stands there again, and is selected.
      const { start, end } = this.#marked();
      touched.start = Math.min(touched.start, start);
      touched.end = Math.max(touched.end, end - after.length + before.length);
    }
    const edit = editOf(before, after, touched);
    this.#edits.push(edit);
    this.#before = after;
    this.#touched = null;
    if (edit.isWhole) this.#page.outdate(true);
  }

  #marked() {
    return { start: this.#area.selectionStart, end: this.#area.selectionEnd };
  }

  async #open(file) {
    if (!file) return;
    if (file.size > LARGEST_FILE) return void alarm("The file is too large.");
    const text = decoded(await file.arrayBuffer());
    const isText = !text.includes("\0") && !OTHER_FORMATS.test(text);
    if (isText) this.#set(text);
    else alarm("This is no text file. Save the note as text first.");
  }

  #example({ title, text }) {
    const click = () => this.#set(text);
    return el("button", { type: "button", class: "example", text: title, on: { click } });
  }

  #changed(pause = Math.min(Math.max(this.#took, PAUSE), LONGEST_PAUSE)) {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#timer = setTimeout(() => this.#send(), pause);
  }

  async #send() {
    const text = this.#text();
    alarm(null);
    if (!text.trim()) {
      tell("");
      this.#take(null, text);
    } else if (text.length > this.#limit && [...text].length > this.#limit) {
      const most = count(this.#limit, "character");
      alarm(`The note is longer than the ${most} that this service takes.`);
      this.#page.refuse(this.#edits);
    } else if (this.#isReady || (await this.meet())) {
      await this.#ask(text);
    }
  }

  async #ask(text) {
    const request = new AbortController();
    this.#running = request;
    const since = performance.now();
    tell("Reading …");
    try {
      const answer = await this.#service.annotate(text, request.signal);
      // Whoever typed on gets the answer to what stands there now, not this one.
      if (request.signal.aborted) return;
      this.#took = performance.now() - since;
      if (answer.status === "failed") throw new Error(`The model failed here: ${answer.error}`);
      const number = this.#take(answer, text);
      const time = Math.round(this.#took).toLocaleString("en");
      tell(`${count(number, "finding")} shown · answered in ${time} ms`);
    } catch (error) {
      if (error.name !== "AbortError") this.#refused(error);
    }
  }

  #take(answer, text) {
    const edits = this.#edits;
    this.#edits = [];
    return this.#page.take(answer, text, edits);
  }

  #refused(error) {
    this.#page.refuse(this.#edits);
    byId("key").hidden = error.status !== 401;
    if (error.status === 401) {
      alarm(null);
      byId("key-value").focus();
    } else if (error.wait) {
      alarm(`${error.message} The page tries again by itself.`);
      this.#changed(1000 * error.wait);
    } else {
      alarm(error.message);
    }
  }

  #current() {
    if (this.#text() !== this.#page.answered()) return null;
    if (document.activeElement !== this.#area) return this.#page.selection();
    const { selectionStart: start, selectionEnd: end } = this.#area;
    return trimmed({ start, end }, this.#text());
  }
}

/** The text of a file: UTF-16 where it says so, else UTF-8, else what Windows wrote. */
function decoded(bytes) {
  const [first, second] = new Uint8Array(bytes, 0, Math.min(2, bytes.byteLength));
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

function alarm(text) {
  byId("alert").hidden = !text;
  byId("alert").textContent = text ?? "";
}

/** Says what happens, without asking for attention. */
export function tell(text) {
  byId("status").textContent = text;
}
