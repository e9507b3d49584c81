"""Prompt lookup: what followed the row's last tokens the last time that they stood in it (Saxena 2023)."""

from __future__ import annotations

LONGEST, SHORTEST = 4, 2
#: Bytes can match across tokens; after so many of these the search is given up.
TRIES = 8
TOKEN_BYTES = 4


def find(row: bytes, most: int) -> tuple[int, int] | None:
    """Where the drafts stand in `row` (int32 tokens): [from, to) in tokens. At most `most`."""
    end = len(row)
    for size in range(LONGEST, SHORTEST - 1, -1):
        width = size * TOKEN_BYTES
        if end <= width:
            continue
        pattern = row[end - width :]
        # The match may overlap the pattern, but what follows it has to be in the row.
        limit = end - TOKEN_BYTES
        for _ in range(TRIES):
            at = row.rfind(pattern, 0, limit)
            if at < 0:
                break
            if at % TOKEN_BYTES == 0:
                start = at // TOKEN_BYTES + size
                return start, min(start + most, end // TOKEN_BYTES)
            limit = at + width - 1
    return None
