"""Classes with too few images to rest a number on."""

from __future__ import annotations

from collections.abc import Mapping

FEW = 20


def small_classes(positives: Mapping[str, int]) -> str:
    """Return a note on the classes that have images, but fewer than 20; empty where there is none.

    Args:
        positives: Class to its number of held-out images.

    Example:
        >>> small_classes({"normal": 140, "COVID": 19, "pneumonia": 7, "other": 0})
        'Fewer than 20 held-out images of COVID (19) and pneumonia (7): intervals that rest on these classes, means over classes too, are rough.'
        >>> small_classes({"normal": 140, "COVID": 20})
        ''
    """  # noqa: E501
    few = [f"{name} ({count})" for name, count in positives.items() if 0 < count < FEW]
    if not few:
        return ""
    if len(few) > 6:
        few = [*few[:5], f"{len(few) - 5} more classes"]
    named = few[0] if len(few) == 1 else f"{', '.join(few[:-1])} and {few[-1]}"
    return (
        f"Fewer than {FEW} held-out images of {named}: intervals that rest on "
        f"{'this class' if len(few) == 1 else 'these classes'}, means over classes too, are rough."
    )
