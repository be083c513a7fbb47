"""What Python's garbage collector is spared."""

import atexit
import gc
from functools import cache


@cache
def spare_the_collector() -> None:
    """Takes what the process holds by now out of garbage collection, once.

    A day makes objects fast enough for full collections, each of which would walk all that was
    imported: of pages that took twice the time of fetching and parsing them. And Dagster makes,
    for each step, enough for some small ones, which find nothing.
    """
    gc.freeze()
    gc.set_threshold(50_000)
    atexit.register(gc.unfreeze)  # whoever uses DuckDB in this process hears of leaks else
