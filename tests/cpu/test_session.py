import subprocess
import sys

# In a process of its own: what the bindings set up once is set up already in this one.
FIRST_CALLS = """
import sys, threading
import numpy as np, spacy

encoder = spacy.load(sys.argv[1]).get_pipe("transformer")
encoder.threads = 8
session = encoder.session
sys.setswitchinterval(1e-6)
barrier = threading.Barrier(8)
ids = np.ones((1, 8), dtype=np.int64)

def call():
    barrier.wait()
    return session.run(ids, ids)

for task in [session.submit(call) for _ in range(8)]:
    assert task.result().shape == (1, 8, 32)
"""


def test_threads_that_make_the_first_calls_at_once_do_not_wait_for_one_another(edition):
    subprocess.run([sys.executable, "-c", FIRST_CALLS, edition], check=True, timeout=60)
