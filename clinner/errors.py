class ClinnerError(ValueError):
    """An error the user can act on.

    The message says what is wrong, where (file, line, offset) and what to do, and never holds
    note text beyond the label or id in question. The command line prints it and exits with 1.
    """
