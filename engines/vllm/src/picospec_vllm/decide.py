"""How many drafts each row gets in this step: as many as make the engine commit most tokens a second.

With acceptance a, the j-th draft of a row adds a^j expected tokens (Leviathan et al. 2023, section 3.1, for drafts that
are given). Drafts are taken in the order of what they add, over all rows, up to where
(rows + added) / time(rows + drafts) is greatest. A source that is worth nothing rests, and one draft of it is tried now
and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .acceptance import Acceptance
from .step_cost import StepCost

#: Most drafts of a source of which nothing was judged yet.
FIRST_DRAFTS = 4
#: Drafts that add less are not looked at.
LEAST_ADDED = 0.005
#: Drafts must promise this much more than none, since estimates are noisy.
LEAST_GAIN = 1.005


@dataclass(frozen=True, slots=True)
class Candidate:
    available: int
    acceptance: Acceptance


def decide(candidates: Sequence[Candidate], rows: int, cost: StepCost) -> list[int]:
    """Drafts for each candidate, 0 to its `available`. `rows` counts those without drafts too."""
    added = sorted(
        (
            (-(candidate.acceptance.rate**depth), depth, index)
            for index, candidate in enumerate(candidates)
            for depth in range(
                1, (candidate.available if candidate.acceptance.judged else min(candidate.available, FIRST_DRAFTS)) + 1
            )
            if candidate.acceptance.rate**depth >= LEAST_ADDED
        ),
    )
    tokens = float(rows)
    alone = rows / cost.relative(rows, rows)
    best, best_count = alone * LEAST_GAIN, 0
    for count, (negative, _, _) in enumerate(added, start=1):
        tokens -= negative
        rate = tokens / cost.relative(rows + count, rows)
        if rate > best:
            best, best_count = rate, count
    counts = [0] * len(candidates)
    for _, _, index in added[:best_count]:
        counts[index] += 1
    for index, candidate in enumerate(candidates):
        acceptance = candidate.acceptance
        if counts[index] > 0:
            acceptance.rested = 0
        elif candidate.available > 0:
            acceptance.rested += 1
            if acceptance.rested >= acceptance.rest_steps:
                acceptance.rested = 0
                counts[index] = 1
    return counts
