// Three views of the same findings, one at a time.

/** RETURNS current(): "note", "table" or "sections"; show(isEmpty): the panel of that view. */
export function createTabs(list, onChange) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  let chosen = tabs[0];

  function choose(tab) {
    chosen = tab;
    for (const one of tabs) {
      one.ariaSelected = String(one === chosen);
      one.tabIndex = one === chosen ? 0 : -1;
    }
    onChange();
  }

  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) choose(tab);
  });
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(chosen);
    const places = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 };
    if (!(event.key in places)) return;
    event.preventDefault();
    choose(tabs.at(places[event.key] % tabs.length));
    chosen.focus();
  });

  return {
    current: () => chosen.id.replace("tab-", ""),
    show(isEmpty) {
      for (const tab of tabs) {
        const panel = document.getElementById(tab.getAttribute("aria-controls"));
        panel.hidden = isEmpty || tab !== chosen;
      }
    },
  };
}
