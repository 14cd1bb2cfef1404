"""What a task group failed with."""

from typing import TypeVar, overload

_Error = TypeVar("_Error", bound=BaseException)


@overload
def first_error(error: BaseExceptionGroup[_Error]) -> _Error: ...
@overload
def first_error(error: BaseException) -> BaseException: ...
def first_error(error: BaseException) -> BaseException:
    """The error itself, or the first inside a group of them, however deep."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
