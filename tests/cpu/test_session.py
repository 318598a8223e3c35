import subprocess
import sys

# In a process of its own: what the bindings set up once is set up already in this one.
FIRST_CALLS = """
import sys
import spacy

nlp = spacy.load(sys.argv[1])
nlp.get_pipe("transformer").batch_pieces = 8
sys.setswitchinterval(1e-6)
assert len(list(nlp.pipe(["no fever", "denies chest pain", "takes aspirin"] * 9))) == 27
"""


# Whatever library forks, such as multiprocessing, does so in the middle of other threads' notes.
FORKS = """
import multiprocessing
import sys
import threading
import spacy

nlp = spacy.load(sys.argv[1])
text = "denies chest pain, takes aspirin"
expected = nlp(text).ents
found, end = [], threading.Event()

def read():
    while not end.is_set():
        try:
            found.append([ent.text for ent in nlp(text).ents])
        except BaseException as error:
            found.append(error)

def child():
    assert [ent.text for ent in nlp(text).ents] == [ent.text for ent in expected]

threads = [threading.Thread(target=read) for _ in range(2)]
for thread in threads:
    thread.start()
forked = multiprocessing.get_context("fork")
for _ in range(4):
    process = forked.Process(target=child)
    process.start()
    process.join(60)
    assert process.exitcode == 0, process.exitcode
end.set()
for thread in threads:
    thread.join()
assert found
assert all(one == [ent.text for ent in expected] for one in found), found
"""


def test_a_fork_ends_no_document_of_other_threads_and_its_child_has_its_own_session(edition):
    subprocess.run([sys.executable, "-c", FORKS, edition], check=True, timeout=300)


def test_threads_that_make_the_first_calls_at_once_do_not_wait_for_one_another(edition):
    subprocess.run([sys.executable, "-c", FIRST_CALLS, edition], check=True, timeout=300)


def test_optimize_leaves_the_environment_of_its_caller_alone(tmp_path, monkeypatch):
    import os

    import pytest

    from spacy_clinner.cpu.edition import optimize
    from spacy_clinner.errors import ClinnerError

    for value in (None, "0"):
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        if value is not None:
            monkeypatch.setenv("HF_HUB_OFFLINE", value)
        before = dict(os.environ)
        with pytest.raises(ClinnerError):
            optimize(tmp_path / "none", tmp_path / "out")
        assert dict(os.environ) == before
