"""Raw files of this project's own text, in the format and at the place of each published corpus."""

import gzip
import io
import zipfile
from pathlib import Path

PROBLEMS = ("fever", "chest pain", "asthma", "cough", "knee swelling")
DRUGS = ("aspirin", "metformin", "ibuprofen", "lisinopril")


def toy_note(i):
    """The text of note i, unlike all others, and kind and offsets of its four mentions."""
    mentions = [
        ("negation", "Denies"),
        ("problem", PROBLEMS[i % len(PROBLEMS)]),
        ("drug", DRUGS[i % len(DRUGS)]),
        ("strength", f"{i + 1} mg"),
    ]
    text = "Visit {n}. {0} {1} today.\nTakes {2} {3} daily.\n".format(
        *(words for _, words in mentions), n=i
    )
    return text, [
        (kind, text.index(words), text.index(words) + len(words)) for kind, words in mentions
    ]


def brat(notes, labels, relation=None):
    """Files of a brat folder: "<n>.txt" and "<n>.ann"."""
    files = {}
    for i in notes:
        text, mentions = toy_note(i)
        lines = [
            f"T{at}\t{labels[kind]} {start} {end}\t{text[start:end]}"
            for at, (kind, start, end) in enumerate(mentions, start=1)
            if kind in labels
        ]
        files[f"{i}.txt"], files[f"{i}.ann"] = text, "\n".join([*lines, *(relation or ())]) + "\n"
    return files


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf8")


def pubtator(notes, labels):
    documents = []
    for i in notes:
        text, mentions = toy_note(i)
        title, abstract = text.rstrip("\n").replace("\n", " ").split(". ", 1)
        lines = [f"{i}|t|{title}.", f"{i}|a|{abstract}"]
        lines += [
            f"{i}\t{start}\t{end}\t{text[start:end]}\t{labels[kind]}\tC{at}"
            for at, (kind, start, end) in enumerate(mentions)
            if kind in labels
        ]
        documents.append("\n".join(lines) + "\n")
    return "\n".join(documents)


def medmentions(assets):
    """ST21pv: all documents in one PubTator file, the splits as lists of PMIDs."""
    folder = assets / "medmentions"
    folder.mkdir(parents=True)
    labels = {"problem": "T038", "drug": "T103", "strength": "T033"}
    (folder / "st21pv.pubtator.gz").write_bytes(gzip.compress(pubtator(range(12), labels).encode()))
    for split, pmids in (("trng", range(8)), ("dev", (8, 9)), ("test", (10, 11))):
        listed = "".join(f"{pmid}\n" for pmid in pmids)
        (folder / f"corpus_pubtator_pmids_{split}.txt").write_text(listed, encoding="utf8")


def ncbi(assets):
    """NCBI-disease: a PubTator file for each split."""
    labels = {"problem": "SpecificDisease"}
    splits = {"train": range(8), "develop": (8, 9), "test": (10, 11)}
    files = {f"NCBI{split}set_corpus.txt": pubtator(i, labels) for split, i in splits.items()}
    write(assets / "ncbi-disease", files)


def n2c2(assets):
    """n2c2 2018 track 2: brat, relations from an attribute to its drug."""
    labels = {"problem": "Reason", "drug": "Drug", "strength": "Strength"}
    relations = ("R1\tStrength-Drug Arg1:T4 Arg2:T3", "R2\tReason-Drug Arg1:T2 Arg2:T3")
    write(assets / "n2c2/train", brat(range(36), labels, relations))
    write(assets / "n2c2/test", brat(range(36, 39), labels, relations))


def maccrobat(assets):
    """MACCROBAT: a zip of zips of brat files, attributes on events."""
    labels = {"problem": "Sign_symptom", "drug": "Medication", "strength": "Dosage"}
    events = ("E1\tSign_symptom:T2", "A1\tPOLARITY E1 NEG")
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        for name, content in brat(range(64), labels, events).items():
            archive.writestr(f"MACCROBAT2020/{name}", content)
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("MACCROBAT2020.zip", inner.getvalue())
    (assets / "maccrobat").mkdir(parents=True)
    (assets / "maccrobat/9764942.zip").write_bytes(outer.getvalue())


def mtsamples(assets):
    """MTSamples: brat, relations from an entity to its modifier."""
    labels = {"negation": "NEGATION", "problem": "PROBLEM", "drug": "DRUG", "strength": "STRENGTH"}
    relations = ("R1\thasAttr Arg1:T2 Arg2:T1", "R2\thasAttr Arg1:T3 Arg2:T4")
    write(assets / "mtsamples/train", brat(range(18), labels, relations))
    write(assets / "mtsamples/test", brat(range(18, 21), labels, relations))


CORPORA = {
    "medmentions": medmentions,
    "ncbi": ncbi,
    "n2c2": n2c2,
    "maccrobat": maccrobat,
    "mtsamples": mtsamples,
}


def write_assets(name, folder: Path):
    CORPORA[name](folder)
