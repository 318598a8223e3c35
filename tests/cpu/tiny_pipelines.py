"""Small pipelines, trained on this project's own words, for the tests of the CPU edition."""

import random

import spacy
from spacy.tokens import DocBin, Span
from spacy.training import Example
from thinc.api import fix_random_seed

WORDS = """
    no fever denies chest pain takes aspirin 10 mg daily history of asthma and severe knee swelling
    was seen for cough since monday the patient reports mild nausea without vomiting
""".split()  # noqa: SIM905
PROBLEMS = ("fever", "pain", "asthma", "swelling", "cough", "nausea", "vomiting")
NEGATIONS = ("no", "denies", "without")
PUNCTUATION = ".,:;()/-"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# Half of the words are cut into letters.
PIECES = dict.fromkeys(
    [*SPECIAL, *WORDS[::2], *PUNCTUATION, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
)
WINDOWS = {"@span_getters": "clinner.line_windows.v1", "window": 24, "max_pieces": 62}
STRIDED = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 16, "stride": 12}
LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "grad_factor": 1.0,
    "pooling": {"@layers": "reduce_mean.v1"},
}
HEADS = {
    "clinner_ner": {
        "layers": ["clinical", "modifiers"],
        "model": {
            "@architectures": "clinner.LayeredTagger.v1",
            "head_rate": 10.0,
            "tok2vec": LISTENER,
        },
    },
    "ner": {
        "model": {
            "@architectures": "spacy.TransitionBasedParser.v2",
            "state_type": "ner",
            "extra_state_tokens": False,
            "hidden_width": 16,
            "maxout_pieces": 2,
            "use_upper": False,
            "tok2vec": LISTENER,
        }
    },
}


def blank():
    return spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})


def make_text(seed, n_words=60):
    rng = random.Random(seed)
    endings = ("", "", "", "", ".", ",", ".\n")
    return " ".join(rng.choice(WORDS) + rng.choice(endings) for _ in range(n_words))


def annotate(doc):
    """Gold spans by a rule that a model can learn from single words."""
    found = [Span(doc, t.i, t.i + 1, label="PROBLEM") for t in doc if t.lower_ in PROBLEMS]
    cues = [Span(doc, t.i, t.i + 1, label="NEGATION") for t in doc if t.lower_ in NEGATIONS]
    doc.set_ents(found)
    doc.spans["clinical"], doc.spans["modifiers"] = found, cues
    return doc


def write_corpus(path, seeds):
    nlp = blank()
    DocBin(docs=[annotate(nlp.make_doc(make_text(seed))) for seed in seeds]).to_disk(path)
    return path


def make_encoder(folder):
    """Save a BERT of random weights, with wordpieces for any ASCII text."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    (folder / "vocab.txt").write_text("\n".join(PIECES), encoding="utf8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(PIECES),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def train(encoder, get_spans=WINDOWS, head="clinner_ner", steps=40):
    """A pipeline with a transformer and one head."""
    fix_random_seed(1)
    nlp = blank()
    model = {
        "@architectures": "clinner.TransformerModel.v1",
        "name": str(encoder),
        "get_spans": get_spans,
        "tokenizer_config": {"use_fast": True},
    }
    nlp.add_pipe("transformer", config={"model": model})
    nlp.add_pipe(head, name="ner", config=HEADS[head])
    docs = [annotate(nlp.make_doc(make_text(seed))) for seed in range(12)]
    examples = [Example(nlp.make_doc(doc.text), doc) for doc in docs]
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 0.002
    for _ in range(steps):
        nlp.update(examples, sgd=sgd)
    return nlp


def found_in(doc):
    """All that a pipeline found."""
    groups = {name: list(spans) for name, spans in doc.spans.items()}
    return [
        (name, span.start_char, span.end_char, span.label_)
        for name, spans in [("ents", doc.ents), *groups.items()]
        for span in spans
    ]
