from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import Any, TypeVar

R = TypeVar("R")


def one_at_a_time(method: Callable[[Any], R]) -> Callable[[Any], R]:
    """Let one thread at a time into a method, such as one that compiles rules when first needed.

    method (Callable[[Any], R]): The method; it may call itself.
    RETURNS (Callable[[Any], R]): The same, behind a lock that all components of its class share:
        one of their own could not be pickled.
    """
    lock = RLock()

    @wraps(method)
    def locked(self: Any) -> R:
        with lock:
            return method(self)

    return locked
