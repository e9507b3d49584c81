"""Which request each row belongs to. vLLM does not tell a proposer, so this looks for vLLM's model runner, with care.

The runner makes the proposer, so it is the `self` of a function that is running then. Nothing of it is written to. Each
step its batch is believed only where the arrays that `propose` is given are that batch's own, the same objects: a batch
of another kind, or another runner, is noticed, and no row is bound to a request from then on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import FrameType
from typing import Any

#: Functions between the runner and the proposer: 2 in vLLM 0.31 to 0.33.
DEPTH = 12
RUNNERS = "GPUModelRunner"

#: vLLM adds 8 hexadecimal digits to the id that its API made, so that ids are unique.
_ADDED = re.compile(r"-[0-9a-f]{8}$")
#: Its API makes ids of the client's X-Request-Id: "cmpl-" + id + "-0", "generate-tokens-" + id, "chatcmpl-" + id.
_MADE = re.compile(r"^(?:cmpl|chatcmpl|generate-tokens)-(.+?)(-\d+)?$")


def find_runner(frame: FrameType | None) -> Any | None:
    for _ in range(DEPTH):
        if frame is None:
            return None
        owner = frame.f_locals.get("self")
        if any(base.__name__ == RUNNERS for base in type(owner).__mro__):
            return owner
        frame = frame.f_back
    return None


def request_ids(runner: Any, lengths: object, table: object, rows: int) -> Sequence[str] | None:
    """The request id of each row, or None where they cannot be known."""
    batch = getattr(runner, "input_batch", None)
    if getattr(batch, "num_tokens_no_spec", None) is not lengths:
        return None
    if getattr(batch, "token_ids_cpu", None) is not table:
        return None
    ids = getattr(batch, "req_ids", None)
    if not isinstance(ids, list) or len(ids) < rows:
        return None
    return ids if all(type(each) is str for each in ids[:rows]) else None


def names(request_id: str) -> tuple[str, ...]:
    """What a gateway may call a row's request: vLLM's id, without what vLLM added, and the X-Request-Id in it."""
    found = [request_id]
    for known in (request_id, _ADDED.sub("", request_id)):
        made = _MADE.match(known)
        found += [known] if made is None else [known, made[1], made[1] + (made[2] or "")]
    return tuple(dict.fromkeys(found))
