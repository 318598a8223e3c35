from collections.abc import Callable, Iterable, Iterator
from typing import Any

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

    component (TrainablePipe): The component; its error handler gets the documents that fail.
    stream (Iterable[Doc]): The documents.
    batch_size (int): The number of documents to buffer.
    YIELDS (Doc): The same documents, in order.
    """
    for buffered in minibatch(stream, size=batch_size):  # type: ignore[no-untyped-call]
        for docs in cut_by_tokens(buffered, TOKENS_AT_ONCE):
            yield from finish(component, docs, component.predict)


def finish(component: Any, docs: list[Doc], predict: Callable[[list[Doc]], Any]) -> Iterator[Doc]:
    """Annotate a batch; one that fails is halved until what fails stands alone.

    component (Pipe): The component; its error handler gets each document that fails.
    docs (list[Doc]): The documents.
    predict (Callable[[list[Doc]], Any]): Gives what `component.set_annotations` takes.
    YIELDS (Doc): Those that did not fail, in order.
    """
    try:
        component.set_annotations(docs, predict(docs))
    except Exception as error:
        if len(docs) == 1:
            component.get_error_handler()(component.name, component, docs, error)
            return
        middle = len(docs) // 2
        yield from finish(component, docs[:middle], predict)
        yield from finish(component, docs[middle:], predict)
    else:
        yield from docs


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
