"""Groups of options as parameters of a command, and texts that hold several names or numbers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from medzoo.core.errors import RunError


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command in which each parameter that is a dataclass is replaced by the dataclass's fields.

    Args:
        command: A function whose other parameters are annotated as Typer wants them.

    Example:
        >>> from medzoo.cli.options import Data, Reading, Zoo
        >>> def show(data: Data, *, reading: Reading, zoo: Zoo = None) -> None:
        ...     print(reading.page, zoo)
        >>> grouped(show)(data="images", page=2, max_pixels=None, skip_unreadable=False, zoo=None)
        2 None
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if not is_dataclass(parameter.annotation):
            parameters.append(parameter)
            continue
        group = groups[parameter.name] = parameter.annotation
        hints = get_type_hints(group, include_extras=True)
        parameters += [
            parameter.replace(name=field.name, annotation=hints[field.name], default=field.default)
            for field in fields(group)
        ]

    @functools.wraps(command)
    def call(**given: Any) -> None:
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**given, **made)

    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in parameters}  # Typer need not evaluate them again
    return call


def either(names: Sequence[str]) -> str:
    """Join names for a help text.

    Example:
        >>> either(["full", "lp_ft", "gradual"])
        'full, lp_ft or gradual'
    """
    return f"{', '.join(names[:-1])} or {names[-1]}"


def listed(text: str) -> list[str]:
    """Split names at commas.

    Example:
        >>> listed("full, linear_probe")
        ['full', 'linear_probe']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers(text: str) -> list[float]:
    """Parse numbers separated by commas.

    Raises:
        RunError: One of them is not a number.

    Example:
        >>> numbers("0.1,1")
        [0.1, 1.0]
    """
    try:
        return [float(word) for word in listed(text)]
    except ValueError as error:
        raise RunError(f"{text!r} is not a list of numbers such as 0.1,0.25,1") from error
