"""What is stored of an exported encoder."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import srsly

from spacy_clinner.cpu.session import Precision
from spacy_clinner.errors import ClinnerError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PARTS = ("encoder.xml", "encoder.bin", "tokenizer.json", "cfg")


@dataclass(frozen=True)
class Encoder:
    """An exported encoder.

    xml (bytes): The graph, in OpenVINO's format; inputs are wordpiece ids and the attention mask,
        both int64 of shape (windows, length), the output float32 (windows, length, width).
    weights (bytes): The graph's weights.
    tokenizer (str): The wordpiece tokenizer, as the `tokenizers` library writes it (JSON).
    width (int): Length of a vector.
    max_length (int): Wordpieces that it takes at once, special tokens included.
    precision (str): "int8", "bf16" or "fp32".
    """

    xml: bytes
    weights: bytes
    tokenizer: str
    width: int
    max_length: int
    precision: Precision

    def parts(self) -> dict[str, bytes]:
        """RETURNS (Dict[str, bytes]): By file name what is stored of it."""
        cfg = {"width": self.width, "max_length": self.max_length, "precision": self.precision}
        contents = (self.xml, self.weights, self.tokenizer.encode(), srsly.json_dumps(cfg).encode())
        return dict(zip(PARTS, contents, strict=True))

    @classmethod
    def of(cls, parts: dict[str, bytes]) -> "Encoder":
        """The encoder of which `parts` was stored."""
        xml, weights, tokenizer, cfg = (parts[name] for name in PARTS)
        return cls(xml, weights, tokenizer.decode(), **srsly.json_loads(cfg))


def read_tokenizer(json: str) -> "Tokenizer":
    """Make a tokenizer that neither cuts nor pads.

    json (str): As the `tokenizers` library writes it.
    RETURNS (Tokenizer): The tokenizer.
    RAISES (ClinnerError): The library is not installed.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise ClinnerError(
            "clinner_cpu_encoder needs the tokenizers library, which is not installed. "
            'Install it with: pip install "spacy-clinner[cpu]"'
        ) from None
    tokenizer: Tokenizer = Tokenizer.from_str(json)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
