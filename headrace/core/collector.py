"""Python's garbage collector, set for processes that hold tens of thousands of messages at a time."""

import gc


def relax_collector() -> None:
    """Let the collector look seldom, and never again at what exists now. Call it when a process is ready to work.

    A batch of 50,000 messages is 50,000 tracked objects without a cycle among them; with Python's own thresholds the
    judge spent 27 % of its working time looking for cycles (py-spy, 1,010,328 flights).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
