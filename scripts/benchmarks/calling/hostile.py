"""Bodies that mean no good, or were cut on their way."""

import json
import random
import string
from collections.abc import Callable, Iterator
from typing import Any

MARKUP = "<script>alert(1)</script>"
HALF = "\ud83d"
ODD = (
    "\x00",
    "\ufeff",
    "\u202e",
    "\ud83d",
    "🙂",
    "é",
    "ﬁ",
    "\u2028",
    MARKUP,
    "']--",
    "%s%n",
    "\x1b[2J",
)


def hostile_bodies(count: int, seed: int = 0) -> Iterator[bytes]:
    """Make bodies, the same for a seed.

    count (int): How many.
    seed (int): The seed.
    YIELDS (bytes): The bodies, of every kind in turn.
    """
    chance = random.Random(seed)
    for at in range(count):
        yield KINDS[at % len(KINDS)](chance)


def _json(chance: random.Random, depth: int = 0) -> Any:
    """Any JSON value."""
    kind = chance.randrange(8 if depth < 4 else 6)
    if kind == 6:
        return [_json(chance, depth + 1) for _ in range(chance.randrange(5))]
    if kind == 7:
        return {_word(chance): _json(chance, depth + 1) for _ in range(chance.randrange(5))}
    some = (None, True, chance.randrange(-10, 10), chance.uniform(-1e9, 1e9), _word(chance), "")
    return some[kind]


def _word(chance: random.Random) -> str:
    letters = chance.choices(string.printable, k=chance.randrange(12))
    known = chance.choice(("notes", "id", "text", "layers", "threshold", *ODD))
    return chance.choice(("".join(letters), known))


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def _note(chance: random.Random) -> dict[str, Any]:
    # Half of a surrogate pair makes of all no JSON.
    odd = ODD if chance.random() < 0.1 else [word for word in ODD if word != HALF]
    words = (*odd, "fever", "denies", "chest pain", "\n", "....", "9" * 50, " " * 20)
    text = " ".join(chance.choices(words, k=chance.randrange(30)))
    return {"id": _word(chance)[:200], "text": text}


def _request(chance: random.Random) -> dict[str, Any]:
    return {"notes": [_note(chance) for _ in range(chance.randrange(1, 4))]}


def random_json(chance: random.Random) -> bytes:
    """JSON of any shape."""
    return _dump(_json(chance))


def wrong_parts(chance: random.Random) -> bytes:
    """A request of which one part is something else."""
    request = _request(chance)
    place = chance.choice((request, request["notes"][0]))
    key = chance.choice((*place, "layers", "threshold", _word(chance)))
    return _dump(place | {key: _json(chance)} if place is request else
                 request | {"notes": [place | {key: _json(chance)}]})  # fmt: skip


def odd_text(chance: random.Random) -> bytes:
    """A request that is right, of notes that are odd."""
    return _dump(_request(chance))


def cut(chance: random.Random) -> bytes:
    """A request that ends in the middle."""
    whole = _dump(_request(chance))
    return whole[: chance.randrange(len(whole))]


def huge_number(chance: random.Random) -> bytes:
    """A request with a number that no computer has."""
    number = chance.choice(("9" * chance.randrange(1, 20_000), "1e999999", "-1e-999999", "NaN",
                            "Infinity", "-Infinity", "0x10", "1" + "0" * 400))  # fmt: skip
    return b'{"threshold": %b, "notes": [{"id": "a", "text": "fever"}]}' % number.encode()


def deep(chance: random.Random) -> bytes:
    """Lists or tables in one another, thousands of them."""
    depth = chance.randrange(100, 60_000)
    opening, closing = chance.choice(((b"[", b"]"), (b'{"notes":', b"}"), (b'{"notes":[', b"]}")))
    inner = opening * depth
    return inner + (b"1" + closing * depth if chance.random() < 0.5 else b"")


def no_utf8(chance: random.Random) -> bytes:
    """Bytes that are no UTF-8, alone or within a note."""
    junk = chance.randbytes(chance.randrange(1, 200))
    if chance.random() < 0.5:
        return junk
    return b'{"notes": [{"id": "a", "text": "' + junk + b'"}]}'


def flipped(chance: random.Random) -> bytes:
    """A request with some bytes changed."""
    data = bytearray(_dump(_request(chance)))
    for _ in range(chance.randrange(1, 6)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


KINDS: tuple[Callable[[random.Random], bytes], ...] = (
    random_json, wrong_parts, odd_text, cut, huge_number, deep, no_utf8, flipped,
)  # fmt: skip
