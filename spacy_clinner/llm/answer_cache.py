"""Answers on disk, so that no question is paid twice. They hold text of notes: the folder and its
files are the user's alone."""

import json
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any

from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole
from spacy_clinner.llm.chat import Reply


class AnswerCache:
    """A folder with a JSON file for each question, mode 0600.

    folder (Path): The folder; made when missing, mode 0700.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Of one passage that stands twice, both answers would have one temporary name.
        self._writing = threading.Lock()

    def path(self, model: str, prompt: dict[str, Any], text: str) -> Path:
        """The file of a question.

        model (str): The model. prompt (dict[str, Any]): The request. text (str): What is asked
            about.
        RETURNS (Path): Named by the digests of the three; it need not exist.
        """
        written = json.dumps(prompt, sort_keys=True, ensure_ascii=True)
        digests = "".join(_digest(part) for part in (model, written, text))
        name = _digest(digests)
        return self.folder / name[:2] / f"{name}.json"

    def get(self, path: Path) -> Reply | None:
        """The answer in a file; None where there is none, or it cannot be read."""
        try:
            data = json.loads(path.read_text(encoding="utf8"))
            return Reply(str(data["content"]), bool(data["cut"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, path: Path, reply: Reply) -> None:
        """Store an answer.

        RAISES (ClinnerError): The folder cannot be written to.
        """
        data = {"content": reply.content, "cut": reply.cut}
        try:
            for folder in (self.folder, path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._writing, written_whole(path, private=True) as partial:
                partial.write_text(json.dumps(data), encoding="utf8")
        except OSError as error:
            raise ClinnerError(
                f"clinner_llm: the `cache` {self.folder} cannot be written to ({error.strerror})."
            ) from None


def _digest(text: str) -> str:
    return sha256(text.encode("utf8", "surrogatepass")).hexdigest()
