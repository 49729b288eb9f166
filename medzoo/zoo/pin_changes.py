"""Changes of a table of pins: one process at a time, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from medzoo.core.atomic import replacing_file
from medzoo.core.locks import locked
from medzoo.zoo.pins import Pin, check_names, pins_text, read_pins


@contextmanager
def adding_pins(path: Path, changes: Mapping[str, Pin]) -> Iterator[None]:
    """Add pins to a table once the body of the ``with`` has put their files in place.

    The new table is on disk before the body starts and replaces the old one after it: where the
    body fails, or the disk is full, the old one stays. One process at a time.

    Args:
        path: The table; created where missing.
        changes: Pins to add or to replace.

    Raises:
        ZooError: A name is not allowed, or the existing table is malformed.
    """
    check_names(changes, path)
    with locked(path), replacing_file(path) as new:
        pins = read_pins(path) if path.is_file() else {}
        new.write_text(pins_text({**pins, **changes}), encoding="utf-8")
        yield
