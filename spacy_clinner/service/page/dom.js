// Elements are made node by node and text is set as text: markup in a note or a label stays text.

/**
 * An element.
 *
 * attributes: `class`, `text`, `on` (listeners by event), `data` (data attributes), `style` (custom
 * properties), properties of the element (`value`, `checked`, `disabled`, `hidden`, ...) and
 * attributes. What is null or undefined is left out.
 */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (name === "class") made.className = value;
    else if (name === "text") made.textContent = value;
    else if (name === "on") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (name === "data") Object.assign(made.dataset, value);
    else if (name === "style") {
      for (const [key, set] of Object.entries(value)) made.style.setProperty(key, set);
    } else if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const byId = (id) => document.getElementById(id);

/** A `<select>` of values, or of pairs of value and words; `chosen` is a value. */
export function choice(choices, chosen, attributes = {}) {
  const options = choices.map((item) => {
    const [value, words] = Array.isArray(item) ? item : [item, item];
    return el("option", { value, text: words, selected: value === chosen });
  });
  return el("select", attributes, ...options);
}

/** "past_medical_history" as "Past medical history". */
export function title(name) {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** "1 finding", "2 findings". */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}
