"""Publish a weight: its run's bundle, completed and validated, to a folder zoo or the Hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medzoo.core.atomic import write_json, write_text
from medzoo.core.errors import ZooError
from medzoo.models.golden import check_golden, write_golden
from medzoo.zoo.bundle import CARD, LICENSE, RUN, bundle_files, open_bundle, read_json
from medzoo.zoo.folder import to_folder
from medzoo.zoo.pins import PINS, Pin
from medzoo.zoo.resolve import org_of
from medzoo.zoo.weights import Weights, find
from training.publishing.card import bundle_card
from training.publishing.evidence import read_evidence
from training.publishing.half import write_half
from training.publishing.hub import to_hub
from training.publishing.licence import licence_text
from training.publishing.terms import ACCEPTED, accept_terms, accepted_lines, check_may_publish
from training.publishing.validation import check_record, validate

__all__ = ["Publication", "plan", "publish", "send", "validate"]


@dataclass(frozen=True)
class Publication:
    """A weight ready to be published.

    Attributes:
        name: The weight's name.
        to: The folder zoo, or ``hf://org``.
        bundle: Its bundle, completed and validated.
        pin: Sizes and hashes of its files.
        private: Whether a new repository is private.
        notes: In words, what makes it less than the full weight, and whose decision it is to publish.
    """

    name: str
    to: str
    bundle: Path
    pin: Pin
    private: bool
    notes: tuple[str, ...]

    def __str__(self) -> str:
        kind = "private" if self.private else "public"
        where = f"{self.to}/{self.name}" + (f" ({kind} where it is new)" if org_of(self.to) else "")
        files = [f"  {file.stat().st_size:>12,}  {file.name}" for file in bundle_files(self.bundle)]
        notes = [f"  {note}" for note in self.notes]
        return "\n".join([f"{self.name} to {where}", *files, *notes, f"  sha256 of the weights {self.pin.sha256}"])


def plan(
    name: str,
    work: Path,
    to: str | Path,
    *,
    private: bool = False,
    half: bool = False,
    accepted: Sequence[str] = (),
) -> Publication:
    """Complete a run's bundle with its licence and golden vector, and validate it. Nothing is published.

    Args:
        name: The weight's name.
        work: The folder with ``runs/<name>/bundle``; the card shows its ``study/`` and ``audits/`` too.
        to: A folder zoo, or ``hf://org``.
        private: Make a new repository private.
        half: Publish a copy in half precision.
        accepted: Data sets whose terms the caller accepts for publication; the bundle's run record and card name the
            caller and the date, and a later call need not repeat it.

    Returns:
        The argument of ``send``.

    Raises:
        UnknownNameError: There is no such weight, or it was not made from a data set in ``accepted``.
        ZooError: There is no complete run of it, its bundle is not valid, or the terms of its data are not known to
            allow it on the Hub and were not accepted.
    """
    entry = find(name)
    run = work / "runs" / name
    if not (run / RUN).is_file():
        raise ZooError(f"there is no complete run of {name} in {work / 'runs'}; run {_how_to_make(entry)} first")
    record = read_json(run / RUN)
    check_record(record, name, run / RUN)
    folder = run / "bundle"
    bundle = open_bundle(folder)
    before = bundle.run.get(ACCEPTED, [])
    record = accept_terms(entry, {**record, ACCEPTED: before}, accepted)
    if org_of(str(to)) is not None:
        check_may_publish(entry, record)
    if record[ACCEPTED] != before:
        write_json(folder / RUN, record)
    write_text(folder / LICENSE, licence_text(entry, record))
    pin = validate(folder, name)
    found = read_evidence(work)
    write_text(folder / CARD, bundle_card(entry, record, found, folder))  # with all that was measured since the run
    write_golden(bundle)
    if half:
        bundle = write_half(bundle, run / "half", found)
        pin = validate(bundle.folder, name)
    check_golden(bundle)
    reduced = [f"a reduced run: {'; '.join(map(str, record['reduced']))}"] if record["reduced"] else []
    return Publication(name, str(to), bundle.folder, pin, private, (*reduced, *accepted_lines(record)))


def send(ready: Publication, pins: Path | None = None) -> str:
    """Publish a weight.

    Args:
        ready: The result of ``plan``.
        pins: The table of pins that a publication on the Hub is added to; default the package's own.

    Returns:
        Where it is, in words.

    Raises:
        ZooError: It cannot be written or uploaded; the earlier version stays published.
    """
    org = org_of(ready.to)
    if org is None:
        return str(to_folder(ready.name, ready.bundle, ready.pin, Path(ready.to)))
    table = pins or PINS
    pin = to_hub(ready.name, ready.bundle, ready.pin, org, private=ready.private, pins=table)
    return f"{pin.repo} at {pin.revision}; its pin is in {table}"


def publish(name: str, work: Path, zoo: Path, *, half: bool = False) -> Path:
    """Validate a run's bundle and copy it into a folder zoo.

    Args:
        name: The weight's name.
        work: The folder with ``runs/<name>/bundle``.
        zoo: The folder zoo; made where missing.
        half: As in ``plan``.

    Returns:
        The bundle's folder in the zoo.

    Raises:
        MedzooError: As in ``plan`` and ``send``.
    """
    return Path(send(plan(name, work, zoo, half=half)))


def _how_to_make(entry: Weights) -> str:
    if entry.timm_name:
        return f"'python -m training publish {entry.name} --imagenet-weights FILE'"
    return f"'python -m training pretrain {entry.name}'"
