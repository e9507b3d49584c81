"""What a step of the engine takes, by the number of tokens in it: learned while it runs."""

from __future__ import annotations

from bisect import bisect_left

#: Weight of the newest step in its point of the curve.
WEIGHT = 0.15
#: A point that was not measured for so many steps is forgotten, so that what once was slow is tried again. Not by the
#: clock: while the engine idles its steps become no slower.
AGE_STEPS = 400
#: Where nothing is known: what one more token for each row adds to a step, as a share of it. Optimistic, since what is
#: tried is measured, and what is not tried stays unknown.
UNKNOWN_SLOPE = 0.03
#: A step that takes this many times what is expected was disturbed, and counts as this.
DISTURBED = 2.0


def bucket(tokens: int) -> int:
    """Exact up to 16 tokens, then steps of 1/8."""
    if tokens <= 16:
        return tokens
    size = 1 << (tokens.bit_length() - 4)
    return tokens // size * size


class StepCost:
    def __init__(self) -> None:
        #: By tokens: the time, and the step that it was measured in last.
        self._points: dict[int, tuple[float, int]] = {}
        self._steps = 0
        self._tokens: list[int] = []
        self._times_s: list[float] = []

    def record(self, tokens: int, took_s: float) -> None:
        self._steps += 1
        at = bucket(tokens)
        known = self._points.get(at)
        if known is not None:
            took_s = known[0] + WEIGHT * (min(took_s, DISTURBED * known[0]) - known[0])
        self._points[at] = (took_s, self._steps)
        fresh = {t: p for t, p in self._points.items() if p[1] > self._steps - AGE_STEPS}
        self._points = fresh
        self._tokens = sorted(fresh)
        self._times_s = _rising([fresh[t][0] for t in self._tokens])

    def relative(self, tokens: int, rows: int) -> float:
        """Time of a step with so many tokens; its unit is the same for all calls between two records."""
        known, times = self._tokens, self._times_s
        if not known:
            return 1 + UNKNOWN_SLOPE * (tokens / max(rows, 1) - 1)
        right = bisect_left(known, tokens)
        if right < len(known) and known[right] == tokens:
            return times[right]
        if right == 0:
            return times[0] / (1 + UNKNOWN_SLOPE * (known[0] - tokens) / max(rows, 1))
        if right == len(known):
            return times[-1] * (1 + UNKNOWN_SLOPE * (tokens - known[-1]) / max(rows, 1))
        left = right - 1
        share = (tokens - known[left]) / (known[right] - known[left])
        return times[left] + share * (times[right] - times[left])

    def points(self) -> dict[str, float]:
        """Milliseconds by tokens, for the statistics."""
        return {str(t): round(1000 * s, 3) for t, s in zip(self._tokens, self._times_s, strict=False)}


def _rising(times: list[float]) -> list[float]:
    """The nearest curve that does not fall (pool adjacent violators; Barlow et al. 1972): more tokens take no less."""
    pools: list[tuple[float, int]] = []
    for time in times:
        mean, count = time, 1
        while pools and pools[-1][0] > mean:
            before, size = pools.pop()
            mean, count = (mean * count + before * size) / (count + size), count + size
        pools.append((mean, count))
    return [mean for mean, count in pools for _ in range(count)]
