"""One rule for the settings of all components: the config is the setting.

Disk holds what was learned. What is changed on a component at run time holds from then on, and is
changed in its section of `nlp.config`, so that it is saved, and read again, with the config; and
what `spacy.load` gets as `config` wins.
"""

from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

import srsly
from spacy import util
from spacy.language import Language

from spacy_clinner.errors import ClinnerError

T = TypeVar("T")


class Configured:
    """What components with settings have in common.

    nlp (Language | None): The pipeline, for its config; None for a component of none.
    settings (dict[str, Any]): The settings by name, plain JSON values.
    """

    nlp: Language | None
    name: str
    settings: dict[str, Any]

    def use(self, settings: dict[str, Any]) -> None:
        """Check settings, and work by them from now on.

        settings (dict[str, Any]): All of them, by name.
        RAISES (ClinnerError): One that is not right; then nothing is changed.
        """
        raise NotImplementedError

    def publish(self, name: str) -> None:
        """Write a setting to the config of the pipeline, once the component is in it."""
        if self.nlp is None:
            return
        components: list[tuple[str, Any]] = self.nlp.components
        for pipe, component in components:
            if component is self:
                self.nlp.get_pipe_config(pipe)[name] = self.settings[name]

    def take(self, settings: dict[str, Any]) -> None:
        """Change several settings; names of none are passed over.

        settings (dict[str, Any]): The new values, by name.
        RAISES (ClinnerError): One that is not right; then nothing is changed.
        """
        given = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in settings.items()
            if name in self.settings
        }
        self.use({**self.settings, **given})
        for name, value in given.items():
            self.settings[name] = value
            self.publish(name)


class Setting(Generic[T]):
    """A setting as an attribute of its component, which is `Configured`."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, component: None, owner: type) -> Self: ...
    @overload
    def __get__(self, component: Configured, owner: type) -> T: ...
    def __get__(self, component: Configured | None, owner: type) -> Self | T:
        if component is None:
            return self
        value: T = component.settings[self.name]
        if isinstance(value, dict | list):
            # Whoever asks for it may change it in place.
            component.publish(self.name)
        return value

    def __set__(self, component: Configured, value: T) -> None:
        component.take({self.name: value})


class RuleComponent(Configured):
    """A component whose whole state is its settings. They are in `nlp.config`, so nothing of it is
    written to disk; bytes hold them for a pipeline with another config.

    factory (str): The name of its factory.
    """

    factory: ClassVar[str]

    def __init__(self, nlp: Language | None, name: str, settings: dict[str, Any]) -> None:
        self.nlp = nlp
        self.name = name
        self.settings = settings
        self.use(settings)
        self._used = deepcopy(settings)

    def refresh(self) -> None:
        """Work by the settings as they are, if they were changed in place."""
        if self._used != self.settings:
            self.take(self.settings)

    def take(self, settings: dict[str, Any]) -> None:
        """Change several settings; see `Configured.take`."""
        super().take(settings)
        self._used = deepcopy(self.settings)

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """RETURNS (bytes): The settings, what a user added to them included."""
        return util.to_bytes({"settings": lambda: srsly.json_dumps(self.settings)}, exclude)

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Self:
        """Load settings from `to_bytes`.

        data (bytes): The settings.
        RETURNS (Self): This component.
        """
        util.from_bytes(data, {"settings": lambda b: self.take(srsly.json_loads(b))}, exclude)
        return self

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Self:  # noqa: ARG002
        """Load what version 0.1 saved beside the config; since then, nothing is.

        path (str | Path): The folder of the component; need not exist.
        RETURNS (Self): This component.
        """
        file = Path(path) / "settings.json"
        if file.is_file():
            old = srsly.read_json(file)
            defaults = Language.get_factory_meta(self.factory).default_config or {}
            self.take({k: v for k, v in old.items() if self.settings.get(k) == defaults.get(k)})
        return self


def check_names(component: str, settings: dict[str, Any], *options: str) -> None:
    """Check settings that are lists of names.

    component (str): The component's name, for messages.
    settings (dict[str, Any]): The settings.
    options (str): Which of them.
    RAISES (ClinnerError): One is no list of strings.
    """
    for option in options:
        names = settings[option]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ClinnerError(f"{component}: `{option}` must be a list of names; got {names!r}.")
