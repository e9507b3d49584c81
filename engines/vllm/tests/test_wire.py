"""Frames, byte by byte and with garbage."""

from __future__ import annotations

import hmac
import random
import struct

import pytest

from gateway import offer_frame
from picospec_vllm import wire

FRAMES = [
    wire.encode(wire.AUTH, bytes(16) + bytes([1] * 32)),
    wire.encode(wire.BEGIN, struct.pack("<IH", 7, 4) + b"cmpl"),
    offer_frame(7, 1000, 123456789, [1, 2, 0xFFFFFFFF]),
    wire.encode(wire.END, struct.pack("<I", 7)),
    wire.encode(wire.STATISTICS, b""),
]


def decoded(reader: wire.FrameReader) -> list[wire.Message]:
    messages = []
    while (frame := reader.next()) is not None:
        messages.append(wire.decode(*frame))
    return messages


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_reads_frames_in_pieces_of_any_size(size: int) -> None:
    data, reader, messages = b"".join(FRAMES), wire.FrameReader(1024), []
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
        messages += decoded(reader)
    assert messages[0] == wire.Auth(bytes(16), bytes([1] * 32))
    assert messages[1] == wire.Begin(7, "cmpl")
    offer = messages[2]
    assert isinstance(offer, wire.Offer)
    assert (offer.session, offer.base, offer.prefix_hash) == (7, 1000, 123456789)
    assert list(offer.tokens) == [1, 2, 0xFFFFFFFF]
    assert messages[3:] == [wire.End(7), wire.AskStatistics()]


@pytest.mark.parametrize("length", [0, 1025, 0xFFFFFFFF])
def test_refuses_a_length_out_of_bounds_before_its_bytes_are_there(length: int) -> None:
    reader = wire.FrameReader(1024)
    reader.feed(struct.pack("<I", length))
    with pytest.raises(wire.WireError, match="1 to 1024"):
        reader.next()


def test_refuses_frames_that_are_cut_or_longer() -> None:
    for frame in FRAMES:
        kind, body = frame[4], frame[5:]
        for wrong in (body[:-1], body + b"x"):
            if wrong != body:
                with pytest.raises(wire.WireError):
                    wire.decode(kind, wrong)


def test_refuses_version_1_with_the_reason() -> None:
    with pytest.raises(wire.WireError, match=r"version 1 of the protocol.* install the same release"):
        wire.decode(wire.AUTH, bytes(32))


def test_proofs_of_the_two_sides_differ_and_sign_both_nonces_and_what_is_told() -> None:
    one, other = bytes([1] * 16), bytes([2] * 16)
    secret = "a secret of the tests"
    proofs = [
        wire.proof(secret, wire.GATEWAY, one, other),
        wire.proof(secret, wire.PLUGIN, one, other),
        wire.proof(secret, wire.GATEWAY, other, one),
        wire.proof(secret, wire.GATEWAY, one, one),
        wire.proof(secret, wire.PLUGIN, one, other, b"told"),
        hmac.digest(secret.encode(), one, "sha256"),
    ]
    assert len(set(proofs)) == len(proofs)


def test_garbage_raises_nothing_but_wire_errors_seed_2() -> None:
    source = random.Random(2)
    for _ in range(20_000):
        reader = wire.FrameReader(1024)
        reader.feed(source.randbytes(source.randrange(40)))
        try:
            decoded(reader)
        except wire.WireError:
            pass


def test_kinds_of_the_plugin_are_not_taken_from_a_gateway() -> None:
    for kind in (0, wire.CHALLENGE, wire.READY, wire.STATISTICS_ANSWER, wire.REFUSED, 0xFF):
        with pytest.raises(wire.WireError, match="not expected"):
            wire.decode(kind, b"")
