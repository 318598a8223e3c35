import pytest

from spacy_clinner import schemes
from spacy_clinner.errors import ClinnerError

TWO = "layer = 'x'\n[labels.A]\n"


def test_the_clinical_layer_has_the_22_legal_pairs_of_the_published_scheme():
    assert sum(map(len, schemes.load("clinical").pairs.values())) == 22


@pytest.mark.parametrize("name", schemes.names())
def test_every_scheme_is_named_as_its_layer_and_describes_every_label(name):
    scheme = schemes.load(name)
    assert scheme.layer == name
    assert all(label.description for label in scheme.labels.values())


def test_pairs_and_views_name_only_labels_that_exist():
    modifiers = schemes.load("modifiers").labels
    for name in schemes.names():
        scheme = schemes.load(name)
        own = modifiers if name == "clinical" else scheme.labels
        assert set(scheme.pairs) <= set(scheme.labels)
        assert {m for mods in scheme.pairs.values() for m in mods} <= set(own)
        assert all(set(view) <= set(scheme.labels) for view in scheme.views.values())


def test_a_label_is_found_by_what_the_corpus_writes():
    assert schemes.load("clinical").written["problem"] == "PROBLEM"
    assert schemes.load("ncbi").written["CompositeMention"] == "DISEASE"
    assert schemes.load("umls").written["T038"] == "PHEN_Biologic_Function"


def test_an_alias_may_repeat_the_name_or_itself(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f"{TWO}aliases = ['A', 'a', 'a']\n", encoding="utf8")
    assert schemes.load(str(path)).written == {"A": "A", "a": "A"}


def test_semantic_groups_follow_label_and_layer():
    assert schemes.semantic_group("PROBLEM") == "Disorders"
    assert schemes.semantic_group("CHEMICAL", "bc5cdr") == "Chemicals & Drugs"
    assert schemes.semantic_group("NO_SUCH_LABEL") is None


def test_a_label_that_a_view_renamed_has_the_group_of_the_scheme_that_knows_it():
    assert schemes.semantic_group("PROBLEM", "maccrobat") == "Disorders"


def test_st21pv_has_21_types():
    assert len(schemes.load("umls").labels) == 21


def test_a_narrower_type_is_of_its_nearest_ancestor_among_the_21():
    umls = schemes.load("umls")
    assert umls.written["T047"] == "PHEN_Biologic_Function"
    assert umls.written["T029"] == "CONC_Spatial_Concept"
    assert umls.written["T022"] == "ANAT_Body_System"
    assert {"T080", "T101", "UnknownType"} <= umls.left_out


@pytest.mark.corpora
def test_every_type_of_the_semantic_network_is_of_one_label_or_left_out(assets):
    umls = schemes.load("umls")
    lines = (assets / "umls/SemanticTypes_2018AB.txt").read_text(encoding="utf8").splitlines()
    types = [line.split("|")[1] for line in lines]
    placed = [alias for label in umls.labels.values() for alias in label.aliases]
    assert sorted([*placed, *umls.left_out]) == sorted([*types, "UnknownType"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such scheme"),
        ("layer = ", "not a valid TOML"),
        ('layer = "x"', "[labels]"),
        ('layer = "x"\n[labels]\nPROBLEM = "text"\n', "[labels.PROBLEM]"),
        ('layer = "x"\n[labels.A]\naliases = "a"\n', "aliases of A must be a list"),
        ('layer = "x"\nleft_out = "B"\n[labels.A]\n', "left_out must be a list"),
        ('layer = "x"\n[labels.A]\n[pairs]\nA = "B"\n', "pairs of A must be a list"),
        ('layer = "x"\n[labels.A]\n[pairs]\nAA = ["B"]\n', "[pairs] names 'AA', which is no label"),
        ('layer = "x"\n[labels.A]\n[views.v]\nAA = "B"\n', "[views.v] names 'AA', which is no"),
        ('layer = "x"\n[labels.A]\n[views.v]\nA = " "\n', "[views.v] gives 'A' an empty name"),
        ('layer = "x"\n[labels." "]\n', "a label without a name"),
        ('layer = "x"\nleft_out = ["B", "A"]\n[labels.A]\n', "left_out names 'A', which 'A' holds"),
        (f"{TWO}aliases = ['b']\n[labels.B]\naliases = ['b']\n", "'b' stands for both 'A' and 'B'"),
        (f"{TWO}aliases = ['B']\n[labels.B]\n", "'B' stands for both 'B' and 'A'"),
        (
            'layer = "x"\n[labels.A]\ncolor = "red"\n',
            "color of A is 'red', and must be \"#rrggbb\"",
        ),
        ('layer = "x"\n[labels.A]\ncolor = "#abcdef\\n"\n', 'must be "#rrggbb"'),
        ('layer = "ents"\n[labels.A]\n', "'ents' is no name for a layer"),
        ('layer = "*"\n[labels.A]\n', "'*' is no name for a layer"),
    ],
)
def test_a_scheme_file_that_is_no_scheme_is_refused_with_its_name(tmp_path, content, says):
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_text(content, encoding="utf8")
    with pytest.raises(ClinnerError, match=r"mine\.toml") as caught:
        schemes.load(str(path))
    assert says in str(caught.value)
