"""Claims whose Jacobians are too large for all entries, compared by products with probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from xcheck.comparison import Comparison
from xcheck.planting import Planted, Plants
from xcheck.probing import (
    Arena,
    Products,
    judge_products,
    own_error,
    summarise_products,
)
from xcheck.protocol import RealArray
from xcheck.trials import Bed, bed_of_products, worst_code


def compare_products(
    arena: Arena,
    vectors: RealArray,
    makers: Sequence[Callable[[Plants], Products]],
    made: Sequence[Products] | None = None,
) -> list[tuple[Comparison, Bed]]:
    """Compare products; returns beds besides, that make and judge them again with an error in one claim."""
    problem, claims = arena.problem, [make(()) for make in makers] if made is None else made
    judged = judge_products(arena, vectors, claims)

    def bed(k: int) -> Bed:
        def again(planted: Planted) -> int:
            others = [makers[k]((planted,)) if i == k else claim for i, claim in enumerate(claims)]
            return worst_code(judge_products(arena, vectors, others)[k].judgement.verdict)

        return bed_of_products((problem.n, problem.m), partial(own_error, judged[k], vectors), again, problem.entry)

    return [(summarise_products(arena, vectors, one), bed(k)) for k, one in enumerate(judged)]
