"""What is held against each other in a cross-check: entries, products of large Jacobians, slopes of plain functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from xcheck.across.runs import Run, cotangent
from xcheck.agreement import LESS_ACCURATE, Cause, Difference, Party, differing_values
from xcheck.checking.findings import prepared
from xcheck.judgement import AGREE, INCONCLUSIVE, Judgement, judge
from xcheck.protocol import RealArray
from xcheck.raised import first_line
from xcheck.reference.grid import Probes, signed_probes
from xcheck.reference.witness import Witness
from xcheck.verdict import Verdict


def compared_entries(runs: Sequence[Run], seed: int) -> list[Party]:
    """Return the derivatives that are compared entry by entry: claims of one shape, and slopes of plain functions.

    Costs a measurement of every plain function, where there are claims to compare it with.
    """
    found = [
        Party(run.label, run.evidence.claimed, run.evidence.judgement, run.evidence.claim.precision)
        for run in runs
        if run.evidence
    ]
    shapes = [party.claimed.shape for party in found]
    claims = [party for party in found if party.claimed.shape == max(shapes, key=shapes.count)]
    if not claims:
        return []
    plain = (_measured(run, claims, seed) for run in runs if run.examined is None)
    return [*claims, *(party for party in plain if party is not None)]


def _measured(run: Run, claims: Sequence[Party], seed: int) -> Party | None:
    """Measure the slopes of a function without a derivative; they agree with themselves, to their error bars.

    None for one that raises, or returns something else, beside the point.
    """
    assert run.problem is not None
    right = [claim for claim in claims if not np.any(claim.judgement.suspected())]
    try:
        with prepared(run.call, seed) as arena:
            judged = judge(Witness(arena.reference, seed=seed), (right or claims)[0].claimed, run.problem.precision)
            run.problem.evaluations += arena.reference.evaluations
    except Exception as error:
        run.failure = run.failure or f"raised {type(error).__name__} beside the point: {first_line(error)}"
        return None
    verdict = np.where(np.isfinite(judged.value), AGREE, INCONCLUSIVE).astype(np.int8)
    return Party(run.label, judged.value, replace(judged, verdict=verdict), run.problem.precision, measured=True)


def unmeasured_slopes(runs: Sequence[Run], parties: Sequence[Party]) -> list[str]:
    """Say how many slopes of plain functions could not be measured, where not for want of a derivative."""
    claims = [party for party in parties if not party.measured]
    plain = [run.label for run in runs if run.examined is None]
    if not claims and len(plain) == len(runs) > 1:
        return ["none of these has a derivative; values were compared"]
    lines = []
    for party in (party for party in parties if party.measured):
        lost = ~party.given & ~np.any([claim.judgement.missing() for claim in claims], axis=0)
        if np.any(lost):
            lines.append(f"{party.label}: {np.count_nonzero(lost)} of {lost.size} slopes could not be measured")
    return lines


def probed_only(runs: Sequence[Run]) -> list[str]:
    """Say whose derivatives were not compared entry by entry, because that would have cost too much."""
    probed = [
        run.label for run in runs if run.examined and any(c.method == "probes" for c in run.examined.report.comparisons)
    ]
    if not probed:
        return []
    who = "all" if len(probed) == len(runs) else ", ".join(probed)
    return [f"{who}: products with random vectors stand for the entries, of which there are too many (budget=)"]


def natural_slopes(run: Run) -> RealArray:
    """Return how large a slope is that moves an output by all of itself over the scale of an input; shape (n, m)."""
    assert run.problem is not None
    sizes = np.where(np.isfinite(run.problem.y), np.abs(run.problem.y), 0.0)
    return np.asarray(sizes[None] / run.problem.scale[:, None])


def differing_products(runs: Sequence[Run], pulled: Mapping[str, RealArray], seed: int) -> list[Difference]:
    """Compare derivatives that are too large for all entries: one pullback of each, and its slope in one direction.

    Implementations that disagree with their own values are left out: what is wrong there is known.
    """
    able = [run for run in runs if run.examined is None or run.examined.report.verdict is not Verdict.DISAGREE]
    rules = [run for run in able if run.label in pulled]
    found = _differing_pullbacks(rules, pulled)
    if not found and rules:
        found = _differing_slopes(rules[0], [run for run in able if run.examined is None], pulled, seed)
    return found


def _differing_pullbacks(runs: Sequence[Run], pulled: Mapping[str, RealArray]) -> list[Difference]:
    if len(runs) < 2 or runs[0].problem is None:
        return []
    inputs = runs[0].problem.inputs
    products = np.array([pulled[run.label] for run in runs])
    share = max(LESS_ACCURATE, *(2.0 ** -(run.problem.precision / 2) for run in runs if run.problem is not None))
    largest = inputs.largest(np.max(np.abs(products), axis=0, initial=0.0, where=np.isfinite(products)))
    allowed = np.broadcast_to(np.maximum(share * largest, np.finfo(np.float64).tiny) / 2, products.shape)
    found, _ = differing_values([run.label for run in runs], products, allowed)
    return [replace(d, place=(d.place[0], 0), count=1, name=f"a pullback at {inputs.entry(d.place[0])}") for d in found]


def _differing_slopes(rule: Run, plain: Sequence[Run], pulled: Mapping[str, RealArray], seed: int) -> list[Difference]:
    """Hold the slope of plain functions along one direction against that of a rule."""
    found = []
    for run in plain:
        assert run.problem is not None
        direction = signed_probes(np.random.default_rng(19), 1, run.problem.n) * run.problem.scale
        weights = cotangent(run.problem)
        try:
            with prepared(run.call, seed) as arena:
                witness = Witness(arena.reference, Probes(arena.reference, direction), seed)
                judged: Judgement = judge(witness, np.zeros((1, run.problem.m)), run.problem.precision)
                run.problem.evaluations += arena.reference.evaluations
        except Exception as error:
            run.failure = run.failure or f"raised {type(error).__name__} beside the point: {first_line(error)}"
            continue
        own, bar = float(judged.value[0] @ weights), float(judged.tolerance[0] @ np.abs(weights))
        terms = pulled[rule.label] * direction[0]
        claimed, slack = float(terms.sum()), LESS_ACCURATE * float(np.abs(terms).sum())
        if not abs(own - claimed) <= bar + slack:
            numbers = {rule.label: claimed, run.label: own}
            groups = ((rule.label,), (run.label,))
            name = "the slope along one direction"
            found.append(Difference(Cause.FUNCTION, (0, 0), groups, numbers, name=name))
    return found


def own_disagreements(runs: Sequence[Run], differences: Sequence[Difference]) -> list[Difference]:
    """Return what implementations' own checks call wrong beside the entries that were compared, the worst of each."""
    blamed = {label for d in differences if d.cause is Cause.WRONG for label in d.blamed}
    found = []
    for run in runs:
        if run.examined is None or run.label in blamed:
            continue
        for c in run.examined.report.comparisons:
            if c.verdict is Verdict.DISAGREE and c.worst:
                entry = c.worst[0]
                numbers, measured = {run.label: entry.claimed}, (entry.measured, entry.error_bar)
                found.append(
                    Difference(
                        Cause.WRONG,
                        (),
                        ((run.label,),),
                        numbers,
                        (run.label,),
                        measured=measured,
                        count=c.wrong,
                        name=entry.name,
                        source=f"{c.claim.source} against {c.reference.source}",
                    )
                )
                break
    return found


def named(difference: Difference, runs: Sequence[Run]) -> Difference:
    """Name the place of a difference as the first implementation would write it."""
    problem = next(run.problem for run in runs if run.problem is not None)
    if difference.name:
        return difference
    if len(difference.place) == 1:
        return replace(difference, name=problem.outputs.entry(difference.place[0]))
    row, output = difference.place
    return replace(difference, name=problem.entry(output, row))


def differing_integers(runs: Sequence[Run]) -> list[str]:
    """Say which outputs without derivatives differ: integers and booleans."""
    lines = []
    fixed = {run.label: run.fixed_outputs for run in runs}
    for name in dict.fromkeys(name for outputs in fixed.values() for name in outputs):
        own = {label: outputs[name] for label, outputs in fixed.items() if name in outputs}
        first = next(iter(own))
        for label, array in own.items():
            if array.shape != own[first].shape:
                lines.append(f"{name} has shape {array.shape} in {label} and {own[first].shape} in {first}.")
            elif np.any(array != own[first]):
                at = np.unravel_index(int(np.argmax(array != own[first])), array.shape)
                place = f"{name}[{', '.join(map(str, at))}]" if at else name
                lines.append(
                    f"They return other integers: {place} is {own[first][at]} by {first}, {array[at]} by {label}. At "
                    "ties either may be right; elsewhere these are other functions."
                )
    return lines
