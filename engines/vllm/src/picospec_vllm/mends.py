"""Faults of vLLM's speculation on CPU that make answers wrong or end it: tested for at start, mended where they are.

vLLM 0.31 and 0.32 expand per-request temperature, top_k and top_p into a copy that is thrown away, and end with top_k,
no top_p and a step in which no row has drafts. On a GPU vLLM computes both by other code, and nothing is touched.
"""

from __future__ import annotations

from typing import Any


def mend_cpu() -> list[str]:
    """@returns what was mended, in words. To be called where vLLM computes on the CPU, before the first step."""
    import torch  # noqa: PLC0415 - vLLM's own; it is not there where this package is tested alone
    import vllm.v1.sample.rejection_sampler as sampler  # noqa: PLC0415

    mended: list[str] = []
    if _expand_is_broken(torch, sampler):
        sampler.expand_batch_to_tokens = _expand_with(torch)
        mended.append("sampling parameters for each draft (temperature, top_p, top_k)")
    if _top_k_is_broken(torch, sampler):
        sampler.apply_top_k_top_p = _for_some_rows(sampler.apply_top_k_top_p)
        mended.append("top_k without top_p in a step without drafts")
    return mended


def _expand_is_broken(torch: Any, sampler: Any) -> bool:
    ends = torch.tensor([2, 5], dtype=torch.int32)
    try:
        for dtype in (torch.float32, torch.int32):
            values = torch.tensor([3, 7], dtype=dtype)
            if sampler.expand_batch_to_tokens(values, ends, 5).tolist() != [3, 3, 7, 7, 7]:
                return True
        replaced = sampler.expand_batch_to_tokens(torch.tensor([0.0, 7.0]), ends, 5, replace_from=0, replace_to=1)
        return bool(replaced.tolist() != [1, 1, 7, 7, 7])
    except Exception:  # noqa: BLE001 - whatever it raises here, it would raise in a step
        return True


def _expand_with(torch: Any) -> Any:
    def expand_batch_to_tokens(
        x: Any, cu_num_tokens: Any, num_tokens: int, replace_from: int = 0, replace_to: int = 0
    ) -> Any:
        counts = torch.diff(cu_num_tokens.long(), prepend=cu_num_tokens.new_zeros(1, dtype=torch.long))
        expanded = x.repeat_interleave(counts)
        return expanded.masked_fill(expanded == replace_from, replace_to)

    return expand_batch_to_tokens


def _top_k_is_broken(torch: Any, sampler: Any) -> bool:
    try:
        sampler.apply_top_k_top_p(torch.empty(0, 4), torch.empty(0, dtype=torch.int32), None)
    except Exception:  # noqa: BLE001 - as above
        return True
    return False


def _for_some_rows(original: Any) -> Any:
    def apply_top_k_top_p(logits: Any, k: Any, p: Any) -> Any:
        return logits if logits.shape[0] == 0 else original(logits, k, p)

    return apply_top_k_top_p
