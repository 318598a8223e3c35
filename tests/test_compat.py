import re

PRIVATE = re.compile(
    r"^\s*from (?!spacy_clinner)[\w.]+ import _\w|^\s*from (?!spacy_clinner)[\w.]*\._\w"
    r"|^\s*import _\w"
    r"|\b(?:model|shim|layer|nlp)\._[a-z]\w*",
    re.MULTILINE,
)


def test_private_interfaces_of_others_are_touched_in_one_module(root):
    touching = {
        path.relative_to(root).as_posix()
        for folder in ("spacy_clinner", "scripts")
        for path in (root / folder).rglob("*.py")
        if PRIVATE.search(path.read_text(encoding="utf8"))
    }
    assert touching == {"spacy_clinner/compat.py"}
