"""One passage asked about: the request, the cache, the answer read and placed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spacy_clinner.llm.answer_cache import AnswerCache
from spacy_clinner.llm.chat import Chat, Reply, RequestFailed
from spacy_clinner.llm.copies import is_copy
from spacy_clinner.llm.mentions import Answer
from spacy_clinner.llm.placement import Placement, place
from spacy_clinner.llm.prompts.prompt_format import PromptFormat
from spacy_clinner.llm.shots import Shots
from spacy_clinner.schemes import Scheme

# What a model thinks aloud before it answers. Some servers put the first mark into the question.
THOUGHT = re.compile(
    r"\A.*</(?:think|thinking|thought|reasoning)\s*>"
    r"|\A\s*<(?:think|thinking|thought|reasoning)\s*>.*\Z",
    re.I | re.S,
)
# What servers say that have no schemas.
SERVER_ERROR = 500
CANNOT_CONSTRAIN = frozenset((400, 422, SERVER_ERROR, 501))


@dataclass(frozen=True)
class Asked:
    """What came of a passage.

    placement (Placement): What was found in it.
    unreadable (int): Parts of the answer that were passed over.
    cut (bool): The answer was stopped before its end.
    cached (bool): It was on disk.
    """

    placement: Placement
    unreadable: int = 0
    cut: bool = False
    cached: bool = False


class Asker:
    """Asks about passages; for several threads.

    chat (Chat): The server.
    prompt (PromptFormat): The format.
    layers (Sequence[Scheme]): What is asked for.
    request (dict[str, Any]): Further fields of each request.
    constrained (bool): Give the server the schema of the answer, where the format has one.
    cache (AnswerCache | None): Where answers are kept.
    shots (Shots | None): Examples.
    """

    def __init__(
        self,
        chat: Chat,
        prompt: PromptFormat,
        layers: Sequence[Scheme],
        request: dict[str, Any],
        *,
        constrained: bool = True,
        cache: AnswerCache | None = None,
        shots: Shots | None = None,
    ) -> None:
        self.chat = chat
        self.prompt = prompt
        self.layers = layers
        self.request = request
        self.cache = cache
        self.shots = shots
        self.response_format: dict[str, Any] | None = None
        if constrained and prompt.schema:
            schema = {"name": "entities", "schema": prompt.schema(layers)}
            self.response_format = {"type": "json_schema", "json_schema": schema}

    def ask(self, text: str) -> Asked:
        """Ask about a text.

        text (str): The text.
        RETURNS (Asked): What was found.
        RAISES (RequestFailed): There was no answer, or none that can be read. BudgetSpent.
        """
        examples = self.shots.choose(text) if self.shots else []
        body = {**self.request, "messages": self.prompt.messages(self.layers, text, examples)}
        path = self.cache.path(self.chat.address.model, body, text) if self.cache else None
        reply = self.cache.get(path) if self.cache and path else None
        cached = reply is not None
        if reply is None:
            reply = self._ask(body)
        answer = self._read(reply, text)
        if self.cache and path and not cached:
            self.cache.put(path, reply)
        return Asked(place(text, answer), answer.unreadable, reply.cut, cached)

    def _ask(self, body: dict[str, Any]) -> Reply:
        schema = self.response_format
        if schema is None:
            return self.chat.ask(body)
        try:
            return self.chat.ask({**body, "response_format": schema})
        except RequestFailed as failed:
            if failed.status not in CANNOT_CONSTRAIN:
                raise
            reply = self.chat.ask(body)
            # Some servers fail so that have no schemas, and any may for a while.
            if failed.status != SERVER_ERROR:
                self.response_format = None
            return reply

    def _read(self, reply: Reply, text: str) -> Answer:
        url = self.chat.address.url
        cut = "; it was cut at `max_tokens`" if reply.cut else ""
        content = THOUGHT.sub("", reply.content)
        if not content.strip():
            raise RequestFailed(f"{url} gave an empty answer{cut}.")
        answer = self.prompt.parse(content)
        fits = answer.fits
        if fits and not answer.said and answer.copy is not None:
            fits = is_copy(text, answer.copy)
        if not fits:
            raise RequestFailed(
                f"{url} gave an answer that is not in the format {self.prompt.name!r}{cut}."
            )
        return answer
