"""Corpus readers and writers: any format -> `Note` -> brat or JSON lines."""

from spacy_clinner.corpora.bioc import read_bioc
from spacy_clinner.corpora.brat import read_brat, write_brat
from spacy_clinner.corpora.conll import read_conll
from spacy_clinner.corpora.formats import read
from spacy_clinner.corpora.jsonl import read_jsonl, write_jsonl
from spacy_clinner.corpora.note import Note
from spacy_clinner.corpora.pubtator import read_pubtator

__all__ = [
    "Note",
    "read",
    "read_bioc",
    "read_brat",
    "read_conll",
    "read_jsonl",
    "read_pubtator",
    "write_brat",
    "write_jsonl",
]
