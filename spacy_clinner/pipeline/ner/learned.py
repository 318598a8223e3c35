"""What `clinner_ner` learned besides its weights: layers with their labels and schemes, and how
they are saved."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from spacy.glossary import GLOSSARY

from spacy_clinner.architectures.layered_tagger import resize_heads
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.ner.layers import check_settings
from spacy_clinner.pipeline.trained import TrainedComponent
from spacy_clinner.schemes import Scheme, of_layers, scheme_of

# Far below the scores of what is learned. What is learned at once, by few updates at a small rate,
# begins with 0 instead, from where it gets there.
NOT_LEARNED = -10.0


class LearnedLayers(TrainedComponent):
    """A component that learns layers of labels.

    cfg (dict[str, Any]): What is learned: "labels" by layer, "schemes" as plain data.
    schemes (dict[str, Scheme]): The schemes of those layers that have one.
    scheme_files (list[str]): Files of the corpus's own schemes, where a callback of the training
        found some.
    """

    cfg: dict[str, Any]
    schemes: dict[str, Scheme]
    scheme_files: list[str]

    def learn_nothing(self, layers: Iterable[str]) -> None:
        """Begin with layers that have no labels yet.

        layers (Iterable[str]): The layers.
        """
        layers = list(layers)
        self.cfg = {
            "labels": {layer: [] for layer in layers},
            "schemes": {},
            # Not learned, but `spacy find-threshold` looks for it here.
            "threshold": self.settings["threshold"],
        }
        self.scheme_files = []
        self.schemes = {}
        self.set_schemes(of_layers(layers))

    def use(self, settings: dict[str, Any]) -> None:
        """Stop at settings that name no layer; see `Configured.use`."""
        known = tuple(self.layer_labels)
        if known:
            check_settings(self.name, settings, known)

    @property
    def layers(self) -> tuple[str, ...]:
        """The keys in `doc.spans` that this component sets."""
        given = self.settings["layers"]
        return tuple(self.layer_labels if given is None else given)

    @layers.setter
    def layers(self, layers: Iterable[str] | None) -> None:
        given = None if layers is None else list(layers)
        known = tuple(self.layer_labels if self.labels else given or ())
        check_settings(self.name, {**self.settings, "layers": given}, known)
        self.take({"layers": given})
        if not self.labels:
            self.learn_nothing(known)

    @property
    def layer_labels(self) -> dict[str, list[str]]:
        """The labels of each layer."""
        return self.cfg["labels"]  # type: ignore[no-any-return]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of all layers, each once."""
        return tuple(dict.fromkeys(name for names in self.layer_labels.values() for name in names))

    @property
    def label_data(self) -> dict[str, list[str]]:
        """What `initialize` takes as `labels`; written by `spacy init labels`."""
        return {layer: list(names) for layer, names in self.layer_labels.items()}

    def add_label(self, label: str, layer: str | None = None) -> int:
        """Add a label to a layer, before or after training; until it is learned, it is not found.

        label (str): The label.
        layer (str | None): Its layer; may be left out when there is only one.
        RETURNS (int): 1, or 0 when the layer has the label already.
        RAISES (ClinnerError): The layer is unknown, or left out among several.
        """
        if layer is None and len(self.layers) == 1:
            layer = self.layers[0]
        if layer not in self.layer_labels:
            raise ClinnerError(
                f"{self.name}: cannot add label {label!r} to layer {layer!r}. "
                f"Say which of these layers it belongs to: {', '.join(self.layers)}."
            )
        if label in self.layer_labels[layer]:
            return 0
        labels = {**self.label_data, layer: [*self.layer_labels[layer], label]}
        self.set_labels(labels, new_scores=NOT_LEARNED)
        return 1

    def set_labels(self, labels: dict[str, list[str]], new_scores: float = 0.0) -> None:
        """Replace the labels, and give the model a score for each new one.

        labels (Dict[str, List[str]]): By layer.
        new_scores (float): What the scores of labels that are new to a layer begin with.
        """
        # Before `initialize` the number of scores is open: labels may still be added freely.
        if self.model.get_ref("output_layer").has_dim("nO") and labels != self.layer_labels:
            resize_heads(self.model, self.layer_labels, labels, new_scores)
        self.cfg["labels"] = labels
        self._add_strings()

    def keep_layers(self, layers: Iterable[str]) -> None:
        """Forget all layers but some, weights and settings included.

        layers (Iterable[str]): Those that stay.
        RAISES (ClinnerError): One is unknown, or none is left to set or to fill `doc.ents`.
        """
        kept = [layer for layer in self.layer_labels if layer in set(layers)]
        if unknown := [layer for layer in layers if layer not in kept]:
            raise ClinnerError(
                f"{self.name}: has no layer {unknown[0]!r}; it has {', '.join(self.layer_labels)}."
            )
        now = self.settings
        settings = {
            option: now[option] and [layer for layer in now[option] if layer in kept]
            for option in ("layers", "ents_from")
        }
        if isinstance(now["threshold"], dict):
            settings["threshold"] = {k: v for k, v in now["threshold"].items() if k in kept}
        if [] in (kept, settings["layers"]) or (now["ents_from"] and not settings["ents_from"]):
            raise ClinnerError(
                f"{self.name}: of the layers to keep, none is set or fills doc.ents; "
                f"keep one of {', '.join(now['ents_from'] or self.layers)}."
            )
        self.set_labels({layer: self.layer_labels[layer] for layer in kept})
        self.schemes = {layer: scheme for layer, scheme in self.schemes.items() if layer in kept}
        self.set_schemes(self.schemes)
        temperatures = self.model.attrs["temperatures"]
        self.model.attrs["temperatures"] = {k: t for k, t in temperatures.items() if k in kept}
        self.take(settings)
        self.cfg["threshold"] = self.settings["threshold"]

    def _add_strings(self) -> None:
        for string in (*self.layer_labels, *self.labels):
            self.vocab.strings.add(string)
        for scheme in self.schemes.values():
            for label in scheme.labels.values():
                GLOSSARY.setdefault(label.name, label.description)

    def learn_also(
        self, labels: Mapping[str, Sequence[str]], schemes: Sequence[str] = ()
    ) -> dict[str, list[str]]:
        """Make room for more labels and layers, and keep what was learned of the others.

        labels (Mapping[str, Sequence[str]]): By layer; those that are known already are passed
            over.
        schemes (Sequence[str]): Files of label schemes, for layers that are new.
        RETURNS (dict[str, list[str]]): By layer the labels that are new.
        """
        new: dict[str, list[str]] = {}
        for layer, names in labels.items():
            known = self.layer_labels.get(layer, [])
            if unknown := [name for name in names if name not in known]:
                new[layer] = unknown
        if not new:
            return new
        further = [layer for layer in new if layer not in self.layer_labels]
        merged = self.label_data
        for layer, names in new.items():
            merged[layer] = [*merged.get(layer, []), *names]
        self.set_labels(merged)
        # A scheme that knows the new labels takes the place of one that does not.
        found = {
            layer: scheme
            for layer, scheme in of_layers(new, schemes).items()
            if layer not in self.schemes or scheme.labels.keys() >= {*new[layer]}
        }
        self.set_schemes({**self.schemes, **found})
        if self.settings["layers"] is not None:
            self.take({"layers": [*self.settings["layers"], *further]})
        return new

    def take_schemes(self, files: Sequence[str]) -> None:
        """Take from files the schemes that know all that those of the layers know, and allow
        further links.

        files (Sequence[str]): Files of label schemes.
        """
        wider = {
            layer: scheme
            for layer, scheme in of_layers(self.layer_labels, files).items()
            if (known := self.schemes.get(layer)) is not None
            and scheme.labels.keys() >= known.labels.keys()
            and scheme.linked > known.linked
        }
        self.set_schemes({**self.schemes, **wider})

    def set_schemes(self, found: Mapping[str, Scheme]) -> None:
        """Replace the schemes.

        found (Mapping[str, Scheme]): By layer.
        """
        self.schemes = dict(found)
        self.cfg["schemes"] = {layer: scheme.as_data() for layer, scheme in found.items()}
        self._add_strings()

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Give the component as bytes: what it learned, and its settings."""
        with self._learned_only():
            data: bytes = super().to_bytes(exclude=exclude)
        return data

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save what the component learned; its settings are in `nlp.config`."""
        with self._learned_only():
            super().to_disk(path, exclude=exclude)

    @contextmanager
    def _learned_only(self) -> Iterator[None]:
        whole = self.cfg
        self.cfg = {name: whole[name] for name in ("labels", "schemes")}
        try:
            yield
        finally:
            self.cfg = whole

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> Self:
        """Load what was learned, and the settings, from bytes."""
        # Before the settings: in bytes of version 0.1 a threshold was among what was learned.
        self.cfg.pop("threshold", None)
        super().from_bytes(bytes_data, exclude=exclude)
        return self._loaded()

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Self:
        """Load what was learned from a folder."""
        super().from_disk(path, exclude=exclude)
        return self._loaded()

    def _loaded(self) -> Self:
        stored = self.cfg.get("threshold")
        if stored and not self.settings["threshold"]:
            # Version 0.1 had a changed threshold there, and not in the config.
            self.take({"threshold": stored})
        self.cfg["threshold"] = self.settings["threshold"]
        learned: dict[str, Any] = self.cfg["schemes"]
        # Models of version 0.1 have labels alone.
        found = {layer: scheme_of(data, self.name) for layer, data in learned.items()}
        self.set_schemes({**of_layers(self.layer_labels), **found})
        check_settings(self.name, self.settings, tuple(self.layer_labels))
        return self
