from .scheme import (
    COLOR,
    Label,
    Scheme,
    load,
    names,
    of_layers,
    read_scheme,
    scheme_of,
    semantic_group,
    write_schemes,
)

__all__ = [
    "COLOR",
    "Label",
    "Scheme",
    "load",
    "names",
    "of_layers",
    "read_scheme",
    "scheme_of",
    "semantic_group",
    "write_schemes",
]
