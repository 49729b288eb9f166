"""What a stress test found, in words."""

from __future__ import annotations

from collections.abc import Sequence

from medzoo.metrics.estimates import Estimate
from medzoo.robustness.outcome import StressOutcome


def findings(stress: StressOutcome) -> tuple[str, ...]:
    """Return one sentence for each thing that was found, the short cuts first."""
    lines = []
    base = stress.clean[stress.primary]
    if base.low is not None and base.low <= stress.chance:
        lines.append(
            f"On whole images {stress.primary} is {base}, not shown to be better than chance ({stress.chance:.2g}): "
            "there is little to lose, and what follows says little."
        )
    lines += [*_shortcuts(stress), *_damage(stress)]
    if stress.subgroups is not None:
        for gap in stress.subgroups.decided:
            higher = f"{stress.primary} is {gap.estimate} higher for {gap.higher} than for {gap.lower}"
            lines.append(f"By {gap.column}: {higher}, more than chance.")
        if not stress.subgroups.decided:
            names = ", ".join(column.name for column in stress.subgroups.columns)
            lines.append(f"By {names}: no gap between subgroups is more than chance.")
    if stress.site is not None:
        lines.append(f"From the model's features, {stress.site}.")
    return tuple(lines)


def _shortcuts(stress: StressOutcome) -> list[str]:
    lines = []
    blind = [one for one in stress.shortcuts if one.organ]
    for one in blind:
        if one.found:
            lines.append(
                f"Short cut: the model still knows the answer from {one.title}: AUROC {one.auroc:.2f}, "
                f"{stress.clean['auroc']:.2f} on whole images, 0.5 by chance{_p(one.p)}."
            )
    tested = [one for one in blind if one.p is not None]
    if tested and not any(one.found for one in blind):
        numbers = ", ".join(f"{one.auroc:.2f} from {one.title}" for one in tested)
        lines.append(f"No short cut was found: without the organ, AUROC is {numbers}; 0.5 is chance.")
    missing = [one for one in blind if one not in tested]
    if missing:
        lines.append(
            f"Not tested: whether the model knows the answer from {' or from '.join(one.title for one in missing)} "
            f"({missing[0].auroc.why or 'no resamples'})."
        )
    for one in stress.shortcuts:
        if not one.organ and one.difference.low is not None and one.difference.low > 0:
            lines.append(
                f"From {one.title}, AUROC is {one.difference:.2f} less than on whole images: the model uses what is "
                "gone, or the filling disturbs it."
            )
    return lines


def _damage(stress: StressOutcome) -> list[str]:
    area = stress.area
    known = [curve for curve in stress.damage if curve.area.value is not None]
    if area is None or area.value is None or not known:
        return [] if area is None else [f"The area under damage is undefined: {area.why}."]
    kinds = f"{len(stress.damage)} kind{'s' * (len(stress.damage) > 1)}"
    worst = min(known, key=lambda curve: curve.area.value or 0.0)
    lines = [
        f"Damaged images keep {percent(area)} of {stress.primary}, over {kinds} at five strengths; "
        f"the worst is {worst.name} with {percent(worst.area)}."
    ]
    errors = [(one.value, curve.name) for curve in stress.damage for one in curve.ece if one.value is not None]
    before = stress.clean["ece"].value
    if errors and before is not None:
        value, name = max(errors)
        lines.append(
            f"The calibration error (ECE) is {before:.2f} on clean images and {value:.2f} at worst, by {name}."
        )
    return lines


def percent(area: Estimate) -> str:
    """Format a share with its interval.

    Example:
        >>> percent(Estimate(0.934, 0.9, 0.961))
        '93 % (90 to 96)'
    """
    if area.value is None:
        return f"undefined ({area.why})"
    interval = f" ({100 * area.low:.0f} to {100 * area.high:.0f})" if area.low is not None and area.high else ""
    return f"{100 * area.value:.0f} %{interval}"


def _p(p: float | None) -> str:
    return "" if p is None else f" (p {p:.3f})" if p >= 0.001 else " (p < 0.001)"


def table(stress: StressOutcome) -> list[str]:
    """Return the numbers as lines of text, with an empty line after each block."""
    primary, clean, area, shortcuts = stress.primary, stress.clean, stress.area, stress.shortcuts
    lines = [f"on whole images: {primary} {clean[primary]}, ECE {clean['ece']}", ""]
    if stress.damage:
        lines.append(f"{'damage':<12}{'area':<20}{f'{primary} at strengths 1 to 5':<38}ECE at strengths 1 to 5")
        for curve in stress.damage:
            lines.append(f"{curve.name:<12}{percent(curve.area):<20}{_row(curve.metric):<38}{_row(curve.ece)}".rstrip())
        lines += [f"{'all':<12}{percent(area)}" if area is not None else "", ""]
    if shortcuts:
        wide = max(len(one.title) for one in shortcuts) + 2
        lines.append(f"{'what is left':<{wide}}{'AUROC':<24}{'less than whole':<28}p")
        for one in shortcuts:
            p = "" if one.p is None else f"{one.p:.3f}{'  SHORT CUT' if one.found else ''}"
            lines.append(f"{one.title:<{wide}}{one.auroc!s:<24}{f'{one.difference:+.3f}':<28}{p}".rstrip())
        lines.append("")
    if stress.subgroups is not None:
        lines += [*stress.subgroups.lines(), ""]
    return lines


def _row(values: Sequence[Estimate]) -> str:
    return " ".join("  -  " if one.value is None else f"{one.value:.3f}" for one in values)
