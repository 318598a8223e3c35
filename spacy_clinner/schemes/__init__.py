from .scheme import Label, Scheme, load, load_all, names, read_scheme, semantic_group

__all__ = ["Label", "Scheme", "load", "load_all", "names", "read_scheme", "semantic_group"]
