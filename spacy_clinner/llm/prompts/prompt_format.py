from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from spacy_clinner.llm.mentions import Answer, Passage
from spacy_clinner.schemes import Scheme

Message = dict[str, str]


@dataclass(frozen=True)
class PromptFormat:
    """How a model is asked for mentions, and how it answers.

    name (str): Its name.
    instructions (Callable[[Sequence[Scheme]], str]): What to do, given the layers asked for.
    question (Callable[[str], str]): How a text is put before the model.
    render (Callable[[Passage], str]): The right answer for an annotated text.
    parse (Callable[[str], Answer]): Reads an answer, and what of a faulty one can be read.
    schema (Callable[[Sequence[Scheme]], dict[str, Any]] | None): The JSON schema of its answers.
    links (bool): Whether answers say which entities a modifier modifies.
    asserts (bool): Whether answers say what is asserted of an entity without its modifiers.
    """

    name: str
    instructions: Callable[[Sequence[Scheme]], str]
    question: Callable[[str], str]
    render: Callable[[Passage], str]
    parse: Callable[[str], Answer]
    schema: Callable[[Sequence[Scheme]], dict[str, Any]] | None = None
    links: bool = True
    asserts: bool = False

    def messages(
        self, layers: Sequence[Scheme], text: str, examples: Sequence[Passage] = ()
    ) -> list[Message]:
        """The messages of a chat that asks about a text.

        layers (Sequence[Scheme]): The layers asked for.
        text (str): The text.
        examples (Sequence[Passage]): Annotated texts to show first.
        RETURNS (list[Message]): Each with a "role" and its "content".
        """
        shown = (
            message
            for passage in examples
            for message in (
                {"role": "user", "content": self.question(passage.text)},
                {"role": "assistant", "content": self.render(passage)},
            )
        )
        return [
            {"role": "system", "content": self.instructions(layers)},
            *shown,
            {"role": "user", "content": self.question(text)},
        ]


def label_lines(layers: Sequence[Scheme], line: str) -> str:
    """A line for each label.

    layers (Sequence[Scheme]): The layers.
    line (str): With {label}, {name} (the same in lower case) and {description}.
    RETURNS (str): The lines.
    """
    labels = {label.name: label for scheme in layers for label in scheme.labels.values()}
    return "\n".join(
        line.format(label=name, name=name.lower(), description=label.description)
        for name, label in labels.items()
    )


def pair_lines(layers: Sequence[Scheme]) -> str:
    """Which modifiers an entity may have, a line for each entity; "" where there are none."""
    labels = {name for scheme in layers for name in scheme.labels}
    lines = []
    for scheme in layers:
        for entity, modifiers in scheme.pairs.items():
            if known := [name.lower() for name in modifiers if name in labels]:
                lines.append(f"{entity.lower()}: {', '.join(known)}")
    return "\n".join(lines)


def asks_assertion(layers: Sequence[Scheme]) -> bool:
    """Whether nothing but an answer's own word can say what is asserted of an entity."""
    linked = {name for scheme in layers for names in scheme.pairs.values() for name in names}
    return any(scheme.entities for scheme in layers) and "NEGATION" not in linked
