"""`clinner_llm`: a language model behind the same document."""

import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from spacy_clinner import schemes
from spacy_clinner.annotation import extensions
from spacy_clinner.errors import ClinnerError
from spacy_clinner.llm.answer_cache import AnswerCache
from spacy_clinner.llm.asking import Asked, Asker
from spacy_clinner.llm.chat import Address, Budget, BudgetSpent, Chat, Patience, RequestFailed
from spacy_clinner.llm.passages import Cut, Cutter
from spacy_clinner.llm.placed_findings import annotate
from spacy_clinner.llm.prompts import find_format
from spacy_clinner.llm.prompts.prompt_format import asks_assertion
from spacy_clinner.llm.shots import WAYS, Shots, read_passages
from spacy_clinner.pipeline.settings import RuleComponent, Setting, check_names
from spacy_clinner.schemes import Scheme

logger = logging.getLogger(__name__)
# What it says of a document stands there in `doc.user_data`.
REPORT = "clinner_llm"
# Passages that are read ahead, by request that may be under way.
AHEAD = 4
DEFAULTS: dict[str, Any] = {
    "base_url": "",
    "model": "",
    "key_env": "CLINNER_LLM_KEY",
    "layers": ["clinical", "modifiers"],
    "view": "",
    "format": "json",
    "length": 400,
    "max_tokens": 2048,
    "concurrency": 8,
    "timeout": 60.0,
    "tries": 4,
    "first_wait": 1.0,
    "budget": 0,
    "cache": "",
    "constrained": True,
    "examples": "",
    "shots": 0,
    "choose": "seed",
    "seed": 0,
    "request": {},
}


class LanguageModel(RuleComponent):
    """Finds mentions by a language model, behind any server that speaks OpenAI's chat protocol.

    Sets `doc.spans[layer]` for each layer, `doc.ents` from the first, `doc._.relations`, and of
    spans `._.layer`, `._.match` (how an answer's words were found in the text: "exact",
    "normalised" or "fuzzy"), `._.modifiers` and what its linked modifiers, or the answer itself,
    assert. A note that fails gets none of these; `doc.user_data["clinner_llm"]` says why.
    """

    factory = "clinner_llm"
    nlp: Language
    base_url = Setting[str]()
    model = Setting[str]()
    key_env = Setting[str]()
    layers = Setting[list[str]]()
    view = Setting[str]()
    format = Setting[str]()
    length = Setting[int]()
    max_tokens = Setting[int]()
    concurrency = Setting[int]()
    timeout = Setting[float]()
    tries = Setting[int]()
    first_wait = Setting[float]()
    budget = Setting[int]()
    cache = Setting[str]()
    constrained = Setting[bool]()
    examples = Setting[str]()
    shots = Setting[int]()
    choose = Setting[str]()
    seed = Setting[int]()
    request = Setting[dict[str, Any]]()

    def __init__(self, nlp: Language | None, name: str = "clinner_llm", **settings: Any) -> None:
        """Make the component.

        nlp (Language | None): The pipeline, whose config has these settings.
        name (str): The component's name in the pipeline.
        base_url (str): Where notes are sent, up to "/chat/completions"; the environment variable
            CLINNER_LLM_URL if "". They are sent nowhere else.
        model (str): The model's name there; CLINNER_LLM_MODEL if "".
        key_env (str): The environment variable that holds the key. The key itself is no setting:
            a saved pipeline would hold it.
        layers (list[str]): What to find: names of schemes, or paths of your own.
        view (str): A view of these schemes that renames labels or leaves them out; "" for none.
        format (str): "json", "kiwi" or "lines".
        length (int): The most tokens of a passage; longer notes are asked about in pieces.
        max_tokens (int): The most tokens of an answer.
        concurrency (int): The most requests at once.
        timeout (float): Seconds to wait for a whole answer.
        tries (int): How often to ask before a note has failed.
        first_wait (float): Seconds before the second try, doubled for each further one.
        budget (int): How many tokens may be spent by this component; 0 for any number.
        cache (str): A folder that keeps the answers, which hold text of the notes; "" for none.
        constrained (bool): Have the server keep to the format's JSON schema, where it can.
        examples (str): A converted corpus (.spacy) to show examples from.
        shots (int): How many examples to show.
        choose (str): "seed" or "nearest", as `Shots` explains.
        seed (int): Its seed.
        request (dict[str, Any]): Further fields of each request, such as {"seed": 1}.
        RAISES (ClinnerError): A setting is unknown or out of range.
        """
        unknown = settings.keys() - DEFAULTS.keys()
        if unknown:
            raise ClinnerError(
                f"{name}: unknown setting {min(unknown)!r}. Known: {', '.join(DEFAULTS)}."
            )
        super().__init__(nlp, name, {**DEFAULTS, **settings})
        self.spent = Budget(self.settings["budget"])

    def use(self, settings: dict[str, Any]) -> None:
        """Stop at settings that are out of range; see `Configured.use`."""
        for key in ("length", "max_tokens", "concurrency", "tries"):
            if settings[key] < 1:
                raise ClinnerError(f"{self.name}: `{key}` must be 1 or more.")
        for key in ("budget", "shots", "timeout", "first_wait"):
            if settings[key] < 0:
                raise ClinnerError(f"{self.name}: `{key}` must be 0 or more.")
        if settings["shots"] and not settings["examples"]:
            raise ClinnerError(f"{self.name}: `shots` needs `examples`, a converted corpus.")
        if settings["choose"] not in WAYS:
            raise ClinnerError(f"{self.name}: `choose` must be one of {', '.join(WAYS)}.")
        check_names(self.name, settings, "layers")
        if not settings["layers"]:
            raise ClinnerError(f"{self.name}: `layers` must name one or more schemes.")
        find_format(settings["format"])
        self._of_layers(settings)
        if settings["budget"] != self.settings["budget"]:
            self.spent = Budget(settings["budget"])
        self._shots: Shots | None = None

    def _of_layers(self, settings: dict[str, Any] | None = None) -> list[Scheme]:
        view, names = ((settings or self.settings)[key] for key in ("view", "layers"))
        found = [schemes.load(name) for name in names]
        if view and not any(view in scheme.views for scheme in found):
            raise ClinnerError(f"{self.name}: none of its `layers` has a view {view!r}.")
        return [scheme.seen(view) if view in scheme.views else scheme for scheme in found]

    @property
    def schemes(self) -> dict[str, Scheme]:
        """By layer, its scheme."""
        return {scheme.layer: scheme for scheme in self._of_layers()}

    @property
    def address(self) -> Address:
        """Where notes are sent.

        RAISES (ClinnerError): Neither the config nor the environment says it.
        """
        return Address(
            self.settings["base_url"] or os.environ.get("CLINNER_LLM_URL", ""),
            self.settings["model"] or os.environ.get("CLINNER_LLM_MODEL", ""),
            os.environ.get(self.settings["key_env"], "") if self.settings["key_env"] else "",
        )

    def __call__(self, doc: Doc) -> Doc:
        """Annotate a document.

        doc (Doc): The document.
        RETURNS (Doc): The same document.
        """
        return next(self.pipe([doc]))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:  # noqa: ARG002
        """Annotate a stream of documents, several passages at a time.

        stream (Iterable[Doc]): The documents.
        batch_size (int): Of no meaning here; `concurrency` says how many.
        YIELDS (Doc): The same documents, in order, those that failed, too.
        RAISES (ClinnerError): No address is given, or the budget is spent.
        """
        self.refresh()
        layers = self._of_layers()
        cutter = Cutter(self.settings["length"])
        most = AHEAD * self.settings["concurrency"]
        waiting: deque[tuple[Doc, list[Cut], list[Future[Asked]]]] = deque()
        with self._asker(layers) as asker, self._threads(asker.chat) as threads:
            for doc in stream:
                cuts = cutter.cut(doc)
                asked = [threads.submit(asker.ask, cut.passage.text) for cut in cuts]
                waiting.append((doc, cuts, asked))
                while sum(len(futures) for _, _, futures in waiting) > most:
                    yield self._finish(*waiting.popleft(), layers)
            while waiting:
                yield self._finish(*waiting.popleft(), layers)

    @contextmanager
    def _threads(self, chat: Chat) -> Iterator[ThreadPoolExecutor]:
        threads = ThreadPoolExecutor(self.settings["concurrency"])
        try:
            yield threads
        except BudgetSpent:
            # What is under way is paid for, and goes into the cache.
            threads.shutdown(cancel_futures=True)
            raise
        finally:
            chat.stop()
            threads.shutdown(cancel_futures=True)

    @contextmanager
    def _asker(self, layers: Sequence[Scheme]) -> Iterator[Asker]:
        settings = self.settings
        if settings["shots"] and self._shots is None:
            passages = read_passages(Path(settings["examples"]), layers, settings["length"])
            chosen = settings["shots"], settings["choose"], settings["seed"]
            self._shots = Shots(passages, *chosen)
        patience = Patience(settings["timeout"], settings["tries"], settings["first_wait"])
        chat = Chat(self.address, patience, self.spent, settings["concurrency"])
        try:
            yield Asker(
                chat,
                find_format(settings["format"]),
                layers,
                {"temperature": 0, "max_tokens": settings["max_tokens"], **settings["request"]},
                constrained=settings["constrained"],
                cache=AnswerCache(Path(settings["cache"])) if settings["cache"] else None,
                shots=self._shots if settings["shots"] else None,
            )
        finally:
            chat.close()

    def _finish(
        self, doc: Doc, cuts: list[Cut], futures: list[Future[Asked]], layers: Sequence[Scheme]
    ) -> Doc:
        """Wait for the answers about a document, and write down what they say."""
        answers: list[Asked] = []
        failures: Counter[str] = Counter()
        for future in futures:
            try:
                answers.append(future.result())
            except RequestFailed as failed:
                failures[str(failed)] += 1
        report: dict[str, Any] = {"passages": len(cuts), "failed": failures.total()}
        if failures:
            # Of a note that was read in part it would look as if nothing stood in the rest.
            report["error"] = " ".join(failures)
            logger.warning("%s: a note was left without annotation: %s", self.name, report["error"])
        else:
            placements = [
                (cut.start, answer.placement) for cut, answer in zip(cuts, answers, strict=True)
            ]
            prompt = find_format(self.settings["format"])
            asserts = prompt.asserts and asks_assertion(layers)
            counts = annotate(doc, placements, layers, links=prompt.links, asserts=asserts)
            report["mentions"] = dict(counts)
        report["unreadable"] = sum(answer.unreadable for answer in answers)
        report["cached"] = sum(answer.cached for answer in answers)
        if cut := sum(answer.cut for answer in answers):
            report["cut"] = cut
            logger.warning(
                "%s: an answer was cut at `max_tokens`; its beginning is used", self.name
            )
        doc.user_data[REPORT] = report
        return doc


@Language.factory(
    "clinner_llm",
    assigns=[
        "doc.spans",
        "doc.ents",
        "doc._.relations",
        *(f"span._.{name}" for name in extensions.LLM if name != "relations"),
    ],
    default_config={**DEFAULTS, "prefix": ""},
)
def create_llm(
    nlp: Language,
    name: str,
    base_url: str,
    model: str,
    key_env: str,
    layers: list[str],
    view: str,
    format: str,
    length: int,
    max_tokens: int,
    concurrency: int,
    timeout: float,
    tries: int,
    first_wait: float,
    budget: int,
    cache: str,
    constrained: bool,
    examples: str,
    shots: int,
    choose: str,
    seed: int,
    request: dict[str, Any],
    prefix: str,
) -> Callable[[Doc], Doc]:
    """Make the `clinner_llm` component; `LanguageModel` explains the settings, and
    `extensions.register` the prefix."""
    settings = dict(locals())
    extensions.register(extensions.LLM, prefix)
    return LanguageModel(nlp, name, **{key: settings[key] for key in DEFAULTS})
