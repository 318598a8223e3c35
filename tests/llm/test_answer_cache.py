import stat
from concurrent.futures import ThreadPoolExecutor

from spacy_clinner.llm.answer_cache import AnswerCache
from spacy_clinner.llm.chat import Reply


def test_the_same_answer_may_come_to_several_threads_at_once(tmp_path):
    cache = AnswerCache(tmp_path)
    path = cache.path("m", {"messages": []}, "Denies fever.")
    reply = Reply("fever", cut=True)
    modes = set()
    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(cache.put, path, reply) for _ in range(400)]:
            done.result()
            modes.add(stat.S_IMODE(path.stat().st_mode))
    assert modes == {0o600}
    assert cache.get(path) == reply
    assert [*path.parent.iterdir()] == [path]
