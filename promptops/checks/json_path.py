"""RFC 9535 paths, as a user or a branch writes them, that come to an end."""

from functools import cache
from typing import Any

from promptops.checks.types import CheckError
from promptops.config.patterns import bounded_iregexp
from promptops.errors import Invalid

_MAX_DESCENTS = 3  # `..` in a path: each goes through all below all that the one before has found
_MAX_FOUND = 100_000


def jsonpath_problem(path: str) -> str:
    """Say why a text is not a path that can be followed; "" where the extra is not installed, too."""
    if path.count("..") > _MAX_DESCENTS:
        return f"`{path}` goes down by `..` more than {_MAX_DESCENTS} times"
    try:
        import jsonpath_rfc9535
    except ImportError:  # the extra is asked for when the check is to run
        return ""
    try:
        jsonpath_rfc9535.compile(path)
    except jsonpath_rfc9535.JSONPathError as error:
        return f"`{path}` is not a JSONPath: {error}"
    return ""


def find_values(path: str, value: Any) -> list[Any]:
    """What a path finds. Raises CheckError for none that can be followed, or that does not end."""
    import jsonpath_rfc9535

    if problem := jsonpath_problem(path):  # only once inputs are filled in
        raise CheckError(problem)
    found = []
    try:
        for node in _environment().finditer(path, value):
            found.append(node.value)
            if len(found) > _MAX_FOUND:
                raise CheckError(f"{path} finds more than {_MAX_FOUND:,} values")
    except jsonpath_rfc9535.JSONPathError as error:
        raise CheckError(f"{path} cannot be followed: {error}") from None
    except Invalid as error:
        raise CheckError(error.message, hint=error.hint) from None
    return found


@cache
def _environment() -> Any:
    """The functions `match` and `search` of the library take as long as their pattern makes them."""
    import jsonpath_rfc9535
    from jsonpath_rfc9535.function_extensions import ExpressionType, FilterFunction

    class PatternFunction(FilterFunction):
        arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 - as the library declares it
        return_type = ExpressionType.LOGICAL

        def __init__(self, *, whole: bool) -> None:
            self.whole = whole

        def __call__(self, text: Any, pattern: Any) -> bool:
            both = isinstance(text, str) and isinstance(pattern, str)
            return both and bounded_iregexp(pattern, text, whole=self.whole)

    environment = jsonpath_rfc9535.JSONPathEnvironment()
    environment.function_extensions |= {
        "match": PatternFunction(whole=True),
        "search": PatternFunction(whole=False),
    }
    return environment
