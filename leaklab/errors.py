"""What leaklab says when it cannot go on: one line, with the value and the way out."""


class LeaklabError(Exception):
    """Something failed; ``str()`` is one line: what is wrong: value; what to do. Exit status 1."""


class UsageError(LeaklabError):
    """The request itself is wrong (unknown name, ill-typed value). Exit status 2."""
