// Where text comes from: typed, pasted, dropped, an example; and when it is sent.

import { byId, count, el } from "./dom.js";
import { trimmed } from "./note.js";
import { wellFormed } from "./offsets.js";

// Milliseconds without a key before the text is sent; longer where answers take long.
const PAUSE = 300;
const LONGEST_PAUSE = 1500;
// Bytes of a file; what is far beyond any note is not read.
const LARGEST_FILE = 20_000_000;

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

  /**
   * page: `layers()`, those to ask for; `know(model)`, told what the service is; `take(answer,
   * text)`, told what came (null for an empty text), gives the number of findings shown;
   * `answered()`, the text that is shown; `selection()`, what is selected in it; `offer(span)`,
   * told what is selected there or in the text, or null.
   */
  constructor(service, page) {
    this.#service = service;
    this.#page = page;
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

  /** The first questions: what the service is, and its examples. */
  async meet() {
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
    }
    return this.#isReady;
  }

  #listen() {
    this.#area.addEventListener("input", () => this.#changed());
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
      if (await this.meet()) this.#changed(0);
    });
  }

  #text() {
    return wellFormed(this.#area.value);
  }

  #set(text) {
    this.#area.value = text;
    this.#area.scrollTop = 0;
    this.#changed(0);
  }

  async #open(file) {
    if (!file) return;
    if (file.size > LARGEST_FILE) return void alarm("The file is too large.");
    const bytes = await file.arrayBuffer();
    let text;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      text = new TextDecoder("windows-1252").decode(bytes);
    }
    if (text.includes("\0")) alarm("This is no text file. Save the note as text first.");
    else this.#set(text);
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
      this.#page.take(null, text);
    } else if (text.length > this.#limit && [...text].length > this.#limit) {
      const most = count(this.#limit, "character");
      alarm(`The note is longer than the ${most} that this service takes.`);
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
      const answer = await this.#service.annotate(text, this.#page.layers(), request.signal);
      // Whoever typed on gets the answer to what stands there now, not this one.
      if (request.signal.aborted) return;
      this.#took = performance.now() - since;
      if (answer.status === "failed") throw new Error(`The model failed here: ${answer.error}`);
      const number = this.#page.take(answer, text);
      const time = Math.round(this.#took).toLocaleString("en");
      tell(`${count(number, "finding")} shown · answered in ${time} ms`);
    } catch (error) {
      if (error.name !== "AbortError") this.#refused(error);
    }
  }

  #refused(error) {
    tell("");
    byId("key").hidden = error.status !== 401;
    if (error.status === 401) {
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

function alarm(text) {
  byId("alert").hidden = !text;
  byId("alert").textContent = text ?? "";
}

/** Says what happens, without asking for attention. */
export function tell(text) {
  byId("status").textContent = text;
}
