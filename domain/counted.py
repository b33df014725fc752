"""Numbers of things in messages: ``1 job``, ``2 jobs``."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless there is exactly one.

    Examples
    --------
    >>> counted(1, "job"), counted(1200, "job")
    ('1 job', '1200 jobs')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
