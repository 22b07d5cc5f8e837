"""How reading, computing and writing overlap: a thread on either side, with short queues between.

``ahead`` takes from an iterable before it is asked, ``Behind`` calls a function after it was told
to. What goes wrong in a thread is raised where its results are wanted, and leaving either one ends
its thread, so nothing runs on behind a caller's back.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_PATIENCE = 0.05  # seconds between two looks at whether to stop
_END = object()


@contextmanager
def ahead(items: Iterable[T], depth: int = 2) -> Iterator[Iterator[T]]:
    """The same items in the same order, made up to ``depth`` ahead in a thread of their own.

    Args:
        items: Iterated in the thread.
        depth: Items that may lie waiting; what they hold is what this costs in memory.
    """
    waiting: queue.Queue[Any] = queue.Queue(depth)
    stop = threading.Event()
    failure: list[BaseException] = []

    def make() -> None:
        try:
            for item in items:
                if not _put(waiting, item, stop):
                    return
        except BaseException as error:  # raised again where the items are wanted
            failure.append(error)
        _put(waiting, _END, stop)

    def take() -> Iterator[T]:
        while (item := _get(waiting, stop)) is not _END:
            yield item
        if failure:
            raise failure[0]

    thread = threading.Thread(target=make, name="rs_gen-ahead", daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        stop.set()
        thread.join()


class Behind(Generic[T]):
    """A function called in a thread of its own, in the order of the calls.

    As a context manager: leaving it in peace waits for the calls that are still to be made;
    leaving it by an exception drops them.

    Args:
        function: Called with each item; what it returns is dropped.
        depth: Items that may lie waiting before a call has to wait.

    Raises:
        Exception: What the function raised, from the next call or from leaving.
    """

    def __init__(self, function: Callable[[T], object], depth: int = 2):
        self._function = function
        self._waiting: queue.Queue[Any] = queue.Queue(depth)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="rs_gen-behind", daemon=True)

    def __call__(self, item: T) -> None:
        """Have the function called with this item, in its turn."""
        if not _put(self._waiting, item, self._stop):
            self._raise()

    def __enter__(self) -> Behind[T]:
        self._thread.start()
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is not None:
            self._stop.set()
        _put(self._waiting, _END, self._stop)
        self._thread.join()
        if kind is None:
            self._raise()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            while (item := _get(self._waiting, self._stop)) is not _END:
                self._function(item)
        except BaseException as error:  # raised again in the caller's thread
            self._failure = error
            self._stop.set()


def _put(waiting: queue.Queue[Any], item: Any, stop: threading.Event) -> bool:
    """Whether the item was put before the stop."""
    while not stop.is_set():
        try:
            waiting.put(item, timeout=_PATIENCE)
            return True
        except queue.Full:
            continue
    return False


def _get(waiting: queue.Queue[Any], stop: threading.Event) -> Any:
    while not stop.is_set():
        try:
            return waiting.get(timeout=_PATIENCE)
        except queue.Empty:
            continue
    return _END
