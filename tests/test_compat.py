import re

PRIVATE = re.compile(
    r"from (?!spacy_clinner)[\w.]*\._\w|import _\w|\b(?:model|shim|layer|nlp)\._[a-z]\w*"
)


def test_private_interfaces_of_others_are_touched_in_one_module(root):
    touching = {
        path.relative_to(root).as_posix()
        for folder in ("spacy_clinner", "scripts")
        for path in (root / folder).rglob("*.py")
        if PRIVATE.search(path.read_text(encoding="utf8"))
    }
    assert touching == {"spacy_clinner/compat.py"}
