"""``medzoo audit``."""

from __future__ import annotations

from medzoo.cli.options import Columns, Data, Json, Reading, Weights, Zoo, deliver


def audit(
    data: Data, weights: Weights, *, columns: Columns, reading: Reading, zoo: Zoo = None, as_json: Json = False
) -> None:
    """Find the images and patients that were part of pretraining."""
    from medzoo.contamination.audit import audit as find

    found = find(columns.open(data, None, reading.skip_unreadable), weights, zoo=zoo, **vars(reading))
    deliver(found, as_json)
