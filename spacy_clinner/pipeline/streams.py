from collections.abc import Iterable, Iterator

from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.util import minibatch

# A few megabytes of token vectors: arrays of this size stay in the cache, and their memory is used
# again; for arrays of all documents of a large batch the system has to be asked each time.
TOKENS_AT_ONCE = 4096
CANNOT_REHEARSE = (
    "{name}: cannot rehearse. So that a model keeps what it knows, train it on documents of before "
    "among the new ones (or on texts that it labelled itself), or leave this component out: "
    'nlp.rehearse(..., exclude=["{name}"]).'
)


def pipe_by_tokens(
    component: TrainablePipe, stream: Iterable[Doc], batch_size: int
) -> Iterator[Doc]:
    """Run a component over a stream as `TrainablePipe.pipe` does, in batches of few tokens.

    component (TrainablePipe): The component; its error handler gets the batches that fail.
    stream (Iterable[Doc]): The documents.
    batch_size (int): The number of documents to buffer.
    YIELDS (Doc): The same documents, in order.
    """
    for buffered in minibatch(stream, size=batch_size):  # type: ignore[no-untyped-call]
        for docs in cut_by_tokens(buffered, TOKENS_AT_ONCE):
            try:
                component.set_annotations(docs, component.predict(docs))
                yield from docs
            except Exception as error:
                component.get_error_handler()(component.name, component, docs, error)


def cut_by_tokens(docs: Iterable[Doc], tokens: int) -> Iterator[list[Doc]]:
    """Cut documents into batches.

    docs (Iterable[Doc]): The documents.
    tokens (int): The most tokens of a batch; a longer document stands alone.
    YIELDS (list[Doc]): The batches, none of them empty.
    """
    batch: list[Doc] = []
    room = tokens
    for doc in docs:
        if batch and len(doc) > room:
            yield batch
            batch, room = [], tokens
        batch.append(doc)
        room -= len(doc)
    if batch:
        yield batch
