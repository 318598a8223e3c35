import re
from collections.abc import Callable, Sequence
from typing import Any

from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc
from spacy.util import compile_infix_regex, compile_prefix_regex, compile_suffix_regex

# A span that starts or ends inside a token is lost, and clinical text glues what newswire keeps
# apart ("days;BP", "CP.SOB", "120/80mmHg", "10mg"). So every sign is a token of its own, and
# what people read as one word stays one: "98.6", "4,500", "q.i.d", "B12", "1st", "don" + "'t".
# A run of three and more equal signs ("-----", "+++", "____") is one token, and so is one of 64 and
# more of any.
RUN = r"(?P<sign>[^\w\s]|_)(?P=sign){2,}+"
PREFIXES = (RUN, r"\.{2,}+", r"[^\w\s.]", r"\.(?![0-9])", "_")
SUFFIXES = (RUN, r"\.{2,}+", r"['’][sS]", r"[^\w\s]", "_")
INFIXES = (
    RUN,
    r"\.{2,}+",
    r"[^\w\s.,'’]",
    "_",
    r"(?<![0-9]),",
    r",(?![0-9])",
    r"(?<![A-Za-z])['’]",
    r"['’](?![A-Za-z])",
    r"(?<=[A-Za-z]{2})\.(?=[A-Za-z0-9])",
    r"(?<=[A-Za-z0-9])\.(?=[A-Z][a-z])",
    r"(?<=[0-9])\.(?=[A-Za-z])",
    r"\.(?=[^\w\s])",
    r"(?<=[^\w\s.])\.",
    # "10mg" is cut; "T2DM", "CD1a", "q6h" and "1st" are not.
    r"(?<=[0-9])(?<![A-Za-z][0-9])(?<![A-Za-z][0-9]{2})(?<![A-Za-z][0-9]{3})"
    r"(?!(?:st|nd|rd|th)(?![A-Za-z]))(?=[A-Za-zµμ])",
)
# spaCy takes signs off the two ends of a chunk one by one, and reads all of it for each. So that
# a megabyte of signs is not read a million times, a chunk with this many characters loses one at
# each end, if a word stands behind it; INFIXES find all others in one pass.
MANY = "(?s:.){200}"
END_OF_PREFIX = rf"(?:(?=[^\W_])|(?!{MANY}))"
START_OF_SUFFIX = rf"(?:(?<=[^\W_][^\W_])|(?!{MANY})(?<!{MANY}))"
SURROGATE = re.compile("[\ud800-\udfff]")
# No note says anything by so many signs; a token for each would take minutes of a megabyte.
NOISE = re.compile(r"(?:[^\w\s]|_){64,}+")
# Language exceptions that are words or white space; the others are emoticons: "8)", ":(".
WORD = r"[^\W\d_]['’.\w]*|['’][^\W\d_]+|\s+"
# Language exceptions that would keep a full stop on "h.", "d." (units) and "p.m.".
TIME_OR_UNIT = r"[0-9]*[A-Za-z]\.|[0-9]*[ap]\.m\."


class ClinicalTokenizer(Tokenizer):  # type: ignore[misc]
    """spaCy's `Tokenizer` for any Python string."""

    def __call__(self, string: str) -> Doc:
        """Cut a text into tokens.

        string (str): The text.
        RETURNS (Doc): The document, with U+FFFD for each half of a surrogate pair. A run of 64 and
            more signs, equal or not, is one token.
        """
        text = SURROGATE.sub("\ufffd", string)
        # A run of equal signs is one token by the rules, those of older models, too.
        plain, n_runs = NOISE.subn(lambda run: "-" * len(run[0]), text)
        doc: Doc = super().__call__(plain)
        if not n_runs:
            return doc
        words = [text[token.idx : token.idx + len(token)] for token in doc]
        whole = Doc(doc.vocab, words=words, spaces=[bool(token.whitespace_) for token in doc])
        for token, cut in zip(whole, doc, strict=True):
            if cut.norm != cut.lex.norm:  # "n't" is "not"
                token.norm_ = cut.norm_
        return whole

    def __reduce__(self) -> tuple[Any, ...]:
        _, arguments = super().__reduce__()[:2]
        return ClinicalTokenizer, arguments


def create_tokenizer() -> Callable[[Language], Tokenizer]:
    """The clinical tokenizer, `clinner.Tokenizer.v1` in a config's [nlp.tokenizer].

    It is spaCy's own `Tokenizer` (so it serialises, explains itself and runs at C speed) with the
    language's exceptions and rules of its own for signs and units. Half of a surrogate pair, which
    no UTF-8 text has and spaCy cannot hold, becomes U+FFFD, so that all offsets stay.

    RETURNS (Callable[[Language], Tokenizer]): Makes the tokenizer for a pipeline.
    """

    def build(nlp: Language) -> ClinicalTokenizer:
        return ClinicalTokenizer(
            nlp.vocab,
            rules={
                written: tokens
                for written, tokens in nlp.Defaults.tokenizer_exceptions.items()
                if re.fullmatch(WORD, written) and not re.fullmatch(TIME_OR_UNIT, written)
            },
            prefix_search=compile_prefix_regex([_any(PREFIXES) + END_OF_PREFIX]).search,
            suffix_search=compile_suffix_regex([START_OF_SUFFIX + _any(SUFFIXES)]).search,
            infix_finditer=compile_infix_regex(INFIXES).finditer,
            token_match=nlp.Defaults.token_match,
        )

    return build


def _any(pieces: Sequence[str]) -> str:
    return f"(?:{'|'.join(pieces)})"
