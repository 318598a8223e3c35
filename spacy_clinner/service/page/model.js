// What the service says of its model: layers, labels with their colours, which may be linked.

const OTHER = "#e6e2f1";

export class Model {
  #layers;
  #links;
  #labels;

  /** told: what `/v1/model` says. */
  constructor(told = { layers: [], links: [] }) {
    this.#layers = told.layers.map((layer) => ({ ...layer, labels: [...layer.labels] }));
    this.#links = told.links;
    this.#labels = new Map(
      told.layers.flatMap(({ name, labels }) => labels.map((one) => [`${name} ${one.name}`, one])),
    );
  }

  /** Takes note of layers and labels that were found and that the service did not tell of. */
  learn(findings) {
    for (const { layer: name, label, group: semantic_group } of findings) {
      if (this.#labels.has(`${name} ${label}`)) continue;
      let layer = this.#layers.find((one) => one.name === name);
      if (!layer) this.#layers.push((layer = { name, entities: true, labels: [] }));
      const one = { name: label, semantic_group, color: OTHER };
      layer.labels.push(one);
      this.#labels.set(`${name} ${label}`, one);
    }
  }

  /** The names of all layers. */
  get layers() {
    return this.#layers.map(({ name }) => name);
  }

  /** Those of entities; others hold what is linked to them. */
  get entityLayers() {
    return this.#layers.filter(({ entities }) => entities).map(({ name }) => name);
  }

  /** Layer and label of everything that it may find. */
  get labels() {
    return this.#layers.flatMap(({ name, labels }) => labels.map((label) => [name, label.name]));
  }

  labelsOf(layer) {
    return this.labels.filter(([name]) => name === layer).map(([, label]) => label);
  }

  color({ layer, label }) {
    return this.#labels.get(`${layer} ${label}`)?.color ?? OTHER;
  }

  group(layer, label) {
    return this.#labels.get(`${layer} ${label}`)?.semantic_group ?? null;
  }

  /** Whether a modifier may be linked to a finding; any may where the model links none. */
  mayLink(finding, modifier) {
    const may = this.#links.filter(({ entity }) => entity === finding.label);
    return !may.length || may.some((link) => link.modifier === modifier.label);
  }

  /** The spans that may be linked to a finding, among the findings and what is linked already. */
  modifiersFor(finding, findings) {
    const entities = new Set(this.entityLayers);
    const spans = [
      ...findings.filter(({ layer }) => !entities.has(layer)),
      ...findings.flatMap(({ links }) => links),
    ].filter((span) => this.mayLink(finding, span));
    const keyOf = ({ start, end, label }) => `${start} ${end} ${label}`;
    return [...new Map(spans.map((span) => [keyOf(span), span])).values()];
  }
}
