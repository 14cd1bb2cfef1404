"""Tests that are coroutines, without a plugin."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec

_Arguments = ParamSpec("_Arguments")
_Test = Callable[_Arguments, Awaitable[None]]
_HANGS_S = 60


def run(test: _Test[_Arguments], settle_s: float = 0.0) -> Callable[_Arguments, None]:
    """An async test as one that pytest calls; it leaves no task behind, but for what is gone after `settle_s`."""

    @wraps(test)
    def wrapped(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> None:
        async def body() -> None:
            async with asyncio.timeout(_HANGS_S):
                await test(*args, **kwargs)
            if settle_s:
                await asyncio.sleep(settle_s)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if left:
                raise AssertionError(f"tasks were left: {left}")

        asyncio.run(body())

    return wrapped
