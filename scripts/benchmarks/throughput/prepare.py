"""Make what the systems need from one trained `en_clinner`: the same encoder and head for all."""

import copy
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from spacy.util import load_config, load_model_from_config

from spacy_clinner.architectures.layered_tagger import head_scale, score_slices
from spacy_clinner.cpu.edition import optimize
from spacy_clinner.cpu.export import max_length, tokenizer_json
from spacy_clinner.cpu.exported import read_tokenizer
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.pipeline.ner.component import LayeredNER

STOCK_CONFIG = Path(__file__).parents[3] / "configs" / "transition.cfg"
STRIDED = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 128, "stride": 96}


def load(model: Path) -> Language:
    """Load the trained pipeline that everything is made from.

    model (Path): Its folder.
    RETURNS (Language): The pipeline; it has a `transformer` and a `clinner_ner` component.
    RAISES (ClinnerError): It is missing, or of another kind.
    """
    nlp = load_pipeline(model)
    factories = set(nlp.pipe_factories.values())
    if not {"transformer", "clinner_ner"} <= factories:
        raise ClinnerError(
            f"{model}: has {', '.join(sorted(factories))}; needs transformer and clinner_ner."
        )
    return nlp


def write_bf16(model: Path, folder: Path) -> bool:
    """Save a trained pipeline that computes in bfloat16 where the CPU is able to.

    model (Path): The trained pipeline.
    folder (Path): The folder to write.
    RETURNS (bool): Whether it is there: other encoders than `clinner.TransformerModel.v1` have no
        such setting.
    """
    config = load_config(model / "config.cfg")
    settings = config["components"].get("transformer", {}).get("model", {})
    if "predict_bf16_on_cpu" not in settings:
        return False
    shutil.copytree(model, folder)
    settings["predict_bf16_on_cpu"] = "auto"
    config.to_disk(folder / "config.cfg")
    return True


def write_hugging_face(nlp: Language, folder: Path) -> None:
    """Save a pipeline's encoder and head as a token classifier of `transformers`.

    Its logits are the head's scores of the layer that fills `doc.ents`, for each wordpiece. (For a
    token of several wordpieces clinner scores their mean.)

    nlp (Language): The trained pipeline.
    folder (Path): The folder to write.
    RAISES (ClinnerError): The encoder has a classifier of another kind than one linear layer.
    """
    import torch
    from transformers import AutoModelForTokenClassification

    models: Any = AutoModelForTokenClassification
    transformer = _component(nlp, "transformer").model
    weights, bias, labels = head(nlp)
    config = copy.deepcopy(transformer.transformer.config)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: at for at, label in enumerate(labels)}
    model = models.from_config(config)
    encoder = transformer.transformer.state_dict()
    missing = model.base_model.load_state_dict(encoder, strict=False).missing_keys
    classifier = getattr(model, "classifier", None)
    if missing or not isinstance(classifier, torch.nn.Linear):
        raise ClinnerError(
            f"{config.model_type}: its token classifier in transformers is not this encoder with "
            "one linear layer, so there is nothing equal to compare with."
        )
    with torch.no_grad():
        classifier.weight.copy_(torch.from_numpy(weights))
        classifier.bias.copy_(torch.from_numpy(bias))
    model.save_pretrained(folder)
    tokenizer = copy.deepcopy(transformer.tokenizer)
    # DeBERTa's and GatorTron's have no limit of their own, and the pipeline would then not cut.
    tokenizer.model_max_length = max_length(transformer)
    tokenizer.save_pretrained(folder)


def head(nlp: Language) -> tuple[Any, Any, list[str]]:
    """The head of the layer that fills `doc.ents`.

    nlp (Language): The trained pipeline.
    RETURNS (Tuple[NDArray, NDArray, List[str]]): Weights of shape (tags, width) and bias of shape
        (tags,), float32, with the model's scale in them, and the tags: O, B-... and I-....
    """
    ner: LayeredNER = _component(nlp, "clinner_ner")
    layer = ner.ents_from[0] if ner.ents_from else ner.layers[0]
    columns = score_slices(ner.layer_labels)[layer]
    scale = head_scale(ner.model)
    linear = ner.model.get_ref("output_layer")
    weights, bias = (scale * linear.get_param(name)[columns] for name in ("W", "b"))
    labels = ner.layer_labels[layer]
    return weights, bias, ["O", *(f"{part}-{label}" for part in "BI" for label in labels)]


def cut_texts(nlp: Language, texts: list[str]) -> list[str]:
    """The start of each text that fits into the encoder, without a word that is cut off.

    nlp (Language): The trained pipeline.
    texts (List[str]): The texts.
    RETURNS (List[str]): The same texts, cut where they are too long.
    """
    model = _component(nlp, "transformer").model
    tokenizer, longest = read_tokenizer(tokenizer_json(model)), max_length(model)
    cut = []
    for text in texts:
        offsets = tokenizer.encode(text).offsets
        if len(offsets) > longest:
            # The last place is that of the special token at the end.
            end = offsets[longest - 2][1]
            whole = text[end : end + 1].isspace()
            text = text[:end] if whole else text[:end].rsplit(maxsplit=1)[0]
        cut.append(text)
    return cut


def check_stock(folder: Path) -> None:
    """Refuse a pipeline that is not spaCy's transformer over strided spans with its own `ner`.

    folder (Path): The pipeline.
    RAISES (ClinnerError): It is another one.
    """
    path = folder / "config.cfg"
    if not path.is_file():
        raise ClinnerError(f"{folder}: no trained pipeline there.")
    config = load_config(path)
    factories = {name: config["components"][name]["factory"] for name in config["nlp"]["pipeline"]}
    spans = config["components"].get("transformer", {}).get("model", {}).get("get_spans")
    if list(factories.values()) != ["transformer", "ner"] or spans != STRIDED:
        raise ClinnerError(
            f"{folder}: not what configs/transition.cfg trains, a transformer over strided "
            "spans 128/96 and spaCy's ner. Train that with `--vars.config transition`."
        )


def write_untrained_stock(nlp: Language, encoder: Path, folder: Path) -> None:
    """Save the baseline with this encoder and a head that has learned nothing.

    nlp (Language): The trained pipeline, whose labels it gets.
    encoder (Path): The encoder, as `transformers` saves it.
    folder (Path): The folder to write.
    """
    tokenizer = "components.transformer.model.tokenizer_config"
    longest = max_length(_component(nlp, "transformer").model)
    overrides = {
        "variables.encoder": str(encoder),
        f"{tokenizer}.model_max_length": longest,
        "initialize.before_init": None,
        "initialize.after_init": None,
    }
    config = load_config(STOCK_CONFIG, overrides=overrides, interpolate=True)
    stock = load_model_from_config(config, auto_fill=True)
    ner: Any = stock.get_pipe("ner")
    for label in dict.fromkeys(tag[2:] for tag in head(nlp)[2][1:]):
        ner.add_label(label)
    with _quiet("transformers.modeling_utils"):  # that the encoder does not use the classifier
        stock.initialize()
    stock.to_disk(folder)


def find_edition(
    model: Path, precision: str, given: Path | None, folder: Path, corpus: Path
) -> tuple[Path, str | None]:
    """The CPU edition of a precision; one that is missing, or older than the model, is made.

    model (Path): The trained pipeline.
    precision (str): "int8", "bf16" or "fp32".
    given (Path | None): The edition to use as it is.
    folder (Path): Where it stands otherwise, and is made.
    corpus (Path): Folder with train.spacy, to calibrate with, and dev.spacy, to score on.
    RETURNS (Tuple[Path, str | None]): The edition, and how it compares with the model if it was
        made.
    RAISES (ClinnerError): The given one is of another kind, or it cannot be made.
    """
    path = given or folder
    stored = path / "transformer" / "cfg"
    found = srsly.read_json(stored)["precision"] if stored.is_file() else None
    if given is not None and found != precision:
        raise ClinnerError(f"{given}: no CPU edition in {precision}; `clinner optimize` makes one.")
    if given is None and not (found == precision and _as_new(path, model)):
        calibration = corpus / "train.spacy" if precision == "int8" else None
        dev = corpus / "dev.spacy"
        outcome = optimize(
            model,
            path,
            precision=precision,
            dev=dev if dev.is_file() else None,
            calibration=calibration,
            force=True,
        )
        return path, str(outcome)
    return path, None


def _as_new(edition: Path, model: Path) -> bool:
    return (edition / "meta.json").stat().st_mtime >= (model / "meta.json").stat().st_mtime


def _component(nlp: Language, factory: str) -> Any:
    name = next(name for name, found in nlp.pipe_factories.items() if found == factory)
    return nlp.get_pipe(name)


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
