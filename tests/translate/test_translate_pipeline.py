"""Threads on either side of the work: in order, bounded, and gone when they should be."""

import threading
import time

import pytest

from rs_gen.translate.pipeline import Behind, ahead


def ours():
    return [t for t in threading.enumerate() if t.name.startswith("rs_gen-")]


def test_items_come_in_their_order():
    with ahead(iter(range(100)), 3) as items:
        assert list(items) == list(range(100))


def test_no_more_is_made_ahead_than_asked_for():
    made = []

    def make():
        for i in range(20):
            made.append(i)
            yield i

    with ahead(make(), 2) as items:
        next(items)
        time.sleep(0.2)
        assert len(made) <= 1 + 2 + 1, "one taken, two waiting, one in hand"


def test_what_fails_ahead_is_raised_where_it_is_wanted():
    def make():
        yield 1
        raise OSError("unreadable")

    with ahead(make()) as items:
        assert next(items) == 1
        with pytest.raises(OSError, match="unreadable"):
            next(items)
    assert not ours()


def test_leaving_early_ends_the_thread():
    with ahead(iter(range(10**9)), 2) as items:
        next(items)
    assert not ours()


def test_calls_are_made_in_order_and_finished_on_leaving():
    done = []

    def slow(item):
        time.sleep(0.001)
        done.append(item)

    with Behind(slow, 2) as call:
        for i in range(50):
            call(i)
    assert done == list(range(50))
    assert not ours()


def test_what_fails_behind_is_raised_at_a_later_call():
    def fail(item):
        raise OSError("disk full")

    def run():
        with Behind(fail, 1) as call:
            for i in range(1000):
                call(i)

    with pytest.raises(OSError, match="disk full"):
        run()
    assert not ours()


def test_what_fails_in_the_last_call_is_raised_on_leaving():
    def fail(item):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Behind(fail, 4) as call:
        call(1)


def test_an_exception_drops_what_waits():
    done = []

    def slow(item):
        time.sleep(0.05)
        done.append(item)

    def run():
        with Behind(slow, 50) as call:
            for i in range(50):
                call(i)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(done) < 50
    assert not ours()


def test_both_stages_run_at_once():
    """The three stages of 20 x 10 ms each take far less than one after the other."""

    def make():
        for i in range(20):
            time.sleep(0.01)
            yield i

    start = time.perf_counter()
    with Behind(lambda _: time.sleep(0.01), 2) as call, ahead(make(), 2) as items:
        for i in items:
            time.sleep(0.01)
            call(i)
    # Sleeping costs no processor, so only a busy machine's wake-ups add to the 0.2 s.
    assert time.perf_counter() - start < 0.55
