class ClinnerError(ValueError):
    """An error the user can act on.

    The message says what is wrong, where (file, line, offset) and what to do, and never holds
    note text beyond the label or id in question. The command line prints it and exits with 1.
    """


def one_line(error: BaseException) -> str:
    """The message of an error of another library, which may span many lines."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
