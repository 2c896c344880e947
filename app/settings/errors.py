"""Turns what pydantic says of a value into one sentence: the key, the value, what is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from ml.errors import OptionInvalid

_EXPECTED: Mapping[str, str] = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "string_too_short": "text of at least {min_length} characters",
    "literal_error": "{expected}",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "below {lt:g}",
    "less_than_equal": "{le:g} or less",
    "value_error": "{error}",
    "dataclass_type": "a section with keys",
    "model_type": "a section with keys",
}
_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
_SECRET = ("url", "key", "password", "token", "secret")


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one sentence on the first thing that is wrong."""
    first = error.errors()[0]
    # What follows section and key are pydantic's names for the types that it tried.
    path = [str(part) for part in first["loc"][:2]]
    key = ".".join(path)
    if first["type"] in _UNKNOWN_KEY:
        return f"{key} is not a setting; allowed: {', '.join(_siblings(model, path[:-1]))}."
    allowed = _EXPECTED.get(first["type"], first["msg"]).format(**first.get("ctx", {}))
    return f"{key} is {_shown(key, first['input'])}; allowed: {allowed}."


def _shown(key: str, value: object) -> str:
    """Return the value as typed, unless it may hold a password."""
    if key.endswith(_SECRET) or isinstance(value, Mapping):
        return "set to something else (not shown)"
    return repr(value)


def _siblings(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Return the keys that are known in a section."""
    section: Any = model
    for name in path:
        section = section.model_fields[name].annotation
    if is_dataclass(section):
        return [field.name for field in fields(section)]
    return list(section.model_fields)


def refuse_booleans(given: Mapping[str, Any], checked: object, prefix: str = "") -> None:
    """Raise :class:`ml.errors.OptionInvalid` for a boolean that was taken for a number.

    pydantic reads true as 1 unless it is strict, and then it would not read a number from
    an environment variable either.
    """
    for name, value in given.items():
        taken = getattr(checked, name)
        if isinstance(value, Mapping):
            refuse_booleans(value, taken, f"{prefix}{name}.")
        elif isinstance(value, bool) and not isinstance(taken, bool):
            raise OptionInvalid(f"{prefix}{name} is {value!r}; allowed: a number.")
