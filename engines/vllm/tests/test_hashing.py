"""The hash of PROTOCOL.md."""

from __future__ import annotations

import random

from picospec_vllm.hashing import MODULUS, extend, extend_all, key_from


def test_is_the_protocols_formula() -> None:
    key, value = 1_000_003, 0
    for token in (5, 0, 49151):
        value = (value * key + token + 1) % (2**61 - 1)
    assert extend(0, [5, 0, 49151], key) == value
    assert value == 5999_0 * 0 + 6 * key**2 % MODULUS + key * 1 + 49152


def test_tells_zeros_and_lengths_apart() -> None:
    values = extend_all(0, [0] * 50, 1_000_003)
    assert len(set(values) | {0}) == 51


def test_goes_on_from_a_prefix_seed_1() -> None:
    source = random.Random(1)
    tokens = [source.randrange(1 << 32) for _ in range(100)]
    key = key_from(source.getrandbits(64))
    values = extend_all(0, tokens, key)
    assert extend(values[39], tokens[40:], key) == values[-1]


def test_key_is_in_its_range() -> None:
    for bits in (0, 1, MODULUS - 4, MODULUS - 3, MODULUS, 2**64 - 1):
        assert 1 < key_from(bits) < MODULUS - 1
