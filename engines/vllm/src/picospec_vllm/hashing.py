"""The hash that addresses drafts by the tokens before them: a polynomial over the prime 2^61 - 1 with a secret key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MODULUS = (1 << 61) - 1


def key_from(random_bits: int) -> int:
    """A key in (1, MODULUS - 1) from 64 random bits. Two prefixes of n tokens collide with probability n / MODULUS."""
    return 2 + random_bits % (MODULUS - 3)


def extend(value: int, tokens: Iterable[int], key: int) -> int:
    """Hash of a sequence, from the hash of what goes before `tokens` (0 for nothing)."""
    for token in tokens:
        value = (value * key + token + 1) % MODULUS
    return value


def extend_all(value: int, tokens: Sequence[int], key: int) -> list[int]:
    """The hash after each of `tokens`."""
    values: list[int] = []
    for token in tokens:
        value = (value * key + token + 1) % MODULUS
        values.append(value)
    return values
