import csv
import lzma

import pytest
import spacy
from spacy.tokens import DocBin

from spacy_clinner.corpora.unlabelled import read_texts
from spacy_clinner.errors import ClinnerError

NOTE = "The patient is a pleasant gentleman who was seen today for follow up of his diabetes."
OTHER = "She underwent an uncomplicated repair of the left inguinal hernia under local anesthesia."


def write_csv(path, texts):
    with (lzma.open if path.suffix == ".xz" else open)(path, "wt", encoding="utf8") as file:
        writer = csv.DictWriter(file, ["transcription"])
        writer.writeheader()
        writer.writerows({"transcription": text} for text in texts)
    return path


@pytest.mark.parametrize("name", ["notes.csv", "notes.csv.xz"])
def test_each_text_is_read_once_and_empty_ones_never(tmp_path, name):
    path = write_csv(tmp_path / name, [NOTE, "  ", OTHER, NOTE])
    assert read_texts([path]) == [NOTE, OTHER]


def test_a_near_copy_of_an_excluded_document_is_left_out(tmp_path):
    path = write_csv(tmp_path / "notes.csv", [NOTE.replace(",", " ,") + " He is well.", OTHER])
    DocBin(docs=[spacy.blank("en")(NOTE.upper())]).to_disk(tmp_path / "test.spacy")
    assert read_texts([path], [tmp_path / "test.spacy"]) == [OTHER]


def test_converted_corpora_give_their_texts(tmp_path):
    DocBin(docs=[spacy.blank("en")(NOTE)]).to_disk(tmp_path / "train.spacy")
    assert read_texts([tmp_path / "train.spacy"]) == [NOTE]


def test_a_folder_gives_the_texts_in_it(tmp_path):
    (tmp_path / "notes/deep").mkdir(parents=True)
    (tmp_path / "notes/b.txt").write_text(OTHER, encoding="utf8")
    (tmp_path / "notes/deep/a.txt").write_text(NOTE, encoding="utf8")
    assert read_texts([tmp_path / "notes"]) == [OTHER, NOTE]


def test_a_cut_off_archive_is_one_message_that_names_it(tmp_path):
    path = write_csv(tmp_path / "notes.csv.xz", [NOTE, OTHER])
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ClinnerError, match=r"notes\.csv\.xz"):
        read_texts([path])


def test_a_file_that_is_neither_is_one_message_that_names_it(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("a,b\n1,2\n", encoding="utf8")
    with pytest.raises(ClinnerError, match=r"notes\.csv: neither .* column transcription"):
        read_texts([path])
    with pytest.raises(ClinnerError, match=r"missing\.spacy"):
        read_texts([tmp_path / "missing.spacy"])


def test_a_text_that_is_not_utf8_is_named_with_its_line(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"No fever.\nTemp\xe9rature normal.\n")
    with pytest.raises(ClinnerError, match=r"a\.txt:2: not UTF-8"):
        read_texts([tmp_path])


def test_a_short_row_has_no_text_and_a_missing_column_is_an_error(tmp_path):
    short, other = tmp_path / "short.csv", tmp_path / "other.csv"
    short.write_text('id,transcription\n1,"no fever"\n2\n', encoding="utf8")
    other.write_text("id,words\n", encoding="utf8")
    assert read_texts([short]) == ["no fever"]
    with pytest.raises(ClinnerError, match="with a column transcription"):
        read_texts([other])
