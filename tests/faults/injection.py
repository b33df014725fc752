"""Which request a fault strikes, and what it does there; both proxies ask before and after every request."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Moment = Literal["before", "after"]
"""Before a request reaches its server, or after the server has done it and before the answer goes back."""

How = Literal["drop", "500", "503", "silence", "half", "reset"]
"""What the client sees: a closed connection, an error answer of S3, no answer, half a body, a reset connection."""


@dataclass
class Fault:
    """One fault, armed for requests whose description matches.

    Attributes
    ----------
    at : str
        Regular expression for the description of a request.
    moment : str
        Before or after the server does it.
    how : str
        What the client sees.
    act : callable, optional
        Done first: kill something.
    skip, times : int
        Matching requests to let pass first, and then to strike.
    """

    at: str
    moment: Moment = "before"
    how: How = "drop"
    act: Callable[[], None] | None = None
    skip: int = 0
    times: int = 1
    struck: int = 0


@dataclass
class Injection:
    """The faults that are armed now, and every request that was seen."""

    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, *faults: Fault) -> None:
        """Put faults in the place of all earlier ones."""
        with self.lock:
            self.faults = list(faults)
            self.seen.clear()

    def strike(self, description: str, moment: Moment) -> How | None:
        """Let a request pass (None), or act and say what its client is to see."""
        with self.lock:
            if moment == "before":
                self.seen.append(description)
            fault = self._due(description, moment)
        if fault is None:
            return None
        if fault.act is not None:
            fault.act()
        return fault.how

    def _due(self, description: str, moment: Moment) -> Fault | None:
        """Find the fault whose turn it is."""
        for fault in self.faults:
            if fault.moment == moment and fault.times > 0 and re.search(fault.at, description):
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                fault.struck += 1
                return fault
        return None
