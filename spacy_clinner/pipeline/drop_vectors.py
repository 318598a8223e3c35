"""`clinner_drop_vectors`: forget token vectors once all components have read them."""

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc


@Language.factory("clinner_drop_vectors")
def create_drop_vectors(nlp: Language, name: str) -> "VectorDropper":  # noqa: ARG001
    """Create the component; see `VectorDropper`."""
    return VectorDropper()


class VectorDropper:
    """Drop `doc.tensor` and, of spacy-transformers, `doc._.trf_data`.

    They take kilobytes per token, so that a list of many documents does not fit into memory, and
    are sent along between processes. (spaCy's `doc_cleaner` sets `doc.tensor` to None, with which
    `Span.as_doc` and `Doc.from_docs` fail.)
    """

    def __call__(self, doc: Doc) -> Doc:
        """Drop the vectors of a document.

        doc (Doc): The document.
        RETURNS (Doc): The same document.
        """
        doc.tensor = np.zeros((0,), dtype=np.float32)
        if doc.has_extension("trf_data"):
            doc._.trf_data = None
        return doc
