// Three views of the same findings, one at a time.

import { byId } from "./dom.js";

export class Tabs {
  #tabs;
  #chosen;
  #onChange;

  constructor(list, onChange) {
    this.#tabs = [...list.querySelectorAll("[role=tab]")];
    this.#chosen = this.#tabs[0];
    this.#onChange = onChange;
    list.addEventListener("click", ({ target }) => {
      const tab = target.closest("[role=tab]");
      if (tab) this.#choose(tab);
    });
    list.addEventListener("keydown", (event) => {
      const at = this.#tabs.indexOf(this.#chosen);
      const places = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 };
      if (!(event.key in places)) return;
      event.preventDefault();
      this.#choose(this.#tabs.at(places[event.key] % this.#tabs.length));
      this.#chosen.focus();
    });
  }

  /** "note", "table" or "sections". */
  current() {
    return this.#chosen.id.replace("tab-", "");
  }

  /** Shows the panel of the chosen view; none where there is no note. */
  show(isEmpty) {
    for (const tab of this.#tabs) {
      byId(tab.getAttribute("aria-controls")).hidden = isEmpty || tab !== this.#chosen;
    }
  }

  #choose(tab) {
    this.#chosen = tab;
    for (const one of this.#tabs) {
      one.ariaSelected = String(one === tab);
      one.tabIndex = one === tab ? 0 : -1;
    }
    this.#onChange();
  }
}
