"""Who uses a handle at the moment: no call of the library finds one that another thread changes or closes."""
from __future__ import annotations

import contextlib
import threading
from typing import Any, Callable, Iterator


class Use:
    """The calls that a handle is in, by thread.

    A shared handle (a dataset, a split, a backbone: they never change) takes any number of threads; every other
    one a thread at a time, and those that come later wait.
    """

    def __init__(self, shared: bool):
        self._shared = shared
        self._free = threading.Condition(threading.Lock())
        self._threads: dict[int, int] = {}

    def enter(self, reading: bool, what: str) -> None:
        me = threading.get_ident()
        with self._free:
            if not self._shared and not reading and me in self._threads:
                raise RuntimeError(f"this {what} is in a call that has not returned: a callback of that call may "
                                   f"read it, not change it")
            while not self._shared and self._threads and me not in self._threads:
                self._free.wait()
            self._threads[me] = self._threads.get(me, 0) + 1

    def leave(self) -> None:
        me = threading.get_ident()
        with self._free:
            self._threads[me] -= 1
            if self._threads[me] == 0:
                del self._threads[me]
                self._free.notify_all()

    @contextlib.contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Once every call has returned; none begins meanwhile."""
        me = threading.get_ident()
        with self._free:
            if me in self._threads:
                raise RuntimeError(f"this {what} is in a call that has not returned: close it afterwards")
            while self._threads:
                self._free.wait()
            yield


def guarded(function: Callable[..., Any], handle: type, reading: bool) -> Callable[..., Any]:
    """The function, which holds the handles among its arguments while it runs."""
    def call(*arguments: Any) -> Any:
        held = {id(one._use): one for one in arguments if isinstance(one, handle)}
        if not held:
            return function(*arguments)
        with contextlib.ExitStack() as stack:
            for _, one in sorted(held.items()):  # in one order, so that two calls never wait for each other
                one._use.enter(reading, type(one).__name__)
                stack.callback(one._use.leave)
            return function(*arguments)
    return call
