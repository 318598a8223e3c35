from collections.abc import Sequence

from spacy_clinner.pipeline.context.lexicon import Lexicon
from spacy_clinner.pipeline.context.marks import CueFinder
from spacy_clinner.pipeline.context.scope_words import ScopeWords
from spacy_clinner.pipeline.context.scopes import Found, Scopes
from spacy_clinner.pipeline.context.tokens import Entities, Kinds, Mark, Tokens
from spacy_clinner.pipeline.phrases import PhraseTokenizer


def unknown(_: int) -> tuple[str, str]:
    """The kinds of an entity of which nothing is known."""
    return "", ""


class ContextRules:
    """Cues and their scopes: which entities does each cue speak about?

    All cues are found in one pass over the tokens; every scope ends at its sentence's end, at a
    terminator, or where the window runs out. The cost is close to linear in tokens and entities.
    """

    def __init__(self, lexicon: Lexicon, cut: PhraseTokenizer) -> None:
        """Compile cues.

        lexicon (Lexicon): The cues, and the words that steer their scopes.
        cut (PhraseTokenizer): Cuts their phrases into tokens.
        """
        self.marks = CueFinder(lexicon.cues, cut)
        self.words = ScopeWords(lexicon.words, cut)

    def __call__(
        self,
        tokens: Tokens,
        entities: Entities,
        marks: Sequence[Mark],
        kinds: Kinds = unknown,
    ) -> list[Found]:
        """Find what the cues say about entities.

        tokens (Tokens): The text.
        entities (Sequence[tuple[int, int]]): First token and one past the last, sorted.
        marks (Sequence[tuple[int, int, Cue]]): The text's cues, as `self.marks` finds them.
        kinds (Callable[[int], tuple[str, str]]): The UMLS semantic group and the label of an
            entity by its number, "" where unknown; asked for only where a scope depends on it.
        RETURNS (list[dict[str, tuple[int, int, Cue]]]): Per entity, by category, the nearest cue.
        """
        return Scopes(self.words, tokens, marks, entities, kinds).run()
