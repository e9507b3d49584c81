"""Frames of the mailbox, as PROTOCOL.md says: u32 length, u8 type, body; little-endian."""

from __future__ import annotations

import hmac
import struct
from array import array
from dataclasses import dataclass
from sys import byteorder

VERSION = 2
MAGIC = b"PSMB"
NONCE_BYTES = 16
DIGEST_BYTES = 32

AUTH, BEGIN, OFFER, END, STATISTICS = 0x01, 0x02, 0x03, 0x04, 0x05
CHALLENGE, READY, STATISTICS_ANSWER, REFUSED, UNBOUND = 0x81, 0x82, 0x83, 0x84, 0x85

#: What a proof is for: one of a gateway is none of a plugin. With the zero it is no text that the secret signs
#: elsewhere, such as the name of a principal.
GATEWAY, PLUGIN = b"picospec mailbox 2 gateway\0", b"picospec mailbox 2 plugin\0"

_LENGTH = struct.Struct("<I")
_BEGIN = struct.Struct("<IH")
_OFFER = struct.Struct("<IIQH")
_END = struct.Struct("<I")
_READY = struct.Struct("<IHHHQHIB")


class WireError(Exception):
    """What a peer sent is no frame of this protocol."""


@dataclass(frozen=True, slots=True)
class Auth:
    nonce: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class Begin:
    session: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Offer:
    session: int
    base: int
    prefix_hash: int
    #: unsigned 32-bit
    tokens: array[int]


@dataclass(frozen=True, slots=True)
class End:
    session: int


@dataclass(frozen=True, slots=True)
class AskStatistics:
    pass


Message = Auth | Begin | Offer | End | AskStatistics


@dataclass(frozen=True, slots=True)
class Ready:
    vocabulary: int
    most_drafts: int
    rank: int
    ranks: int
    key: int
    offer_tokens: int
    sessions: int
    #: Whether rows tell their requests.
    binds: bool


class FrameReader:
    """Cuts a stream of bytes into frames. It never holds more than one frame and what was fed with it."""

    def __init__(self, frame_bytes: int) -> None:
        self._frame_bytes = frame_bytes
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def next(self) -> tuple[int, bytes] | None:
        """Type and body of the next whole frame. @raises WireError for a length out of bounds"""
        if len(self._bytes) < 4:
            return None
        (length,) = _LENGTH.unpack_from(self._bytes)
        if not 1 <= length <= self._frame_bytes:
            raise WireError(f"a frame of {length} bytes: 1 to {self._frame_bytes} are allowed")
        if len(self._bytes) < 4 + length:
            return None
        kind, body = self._bytes[4], bytes(self._bytes[5 : 4 + length])
        del self._bytes[: 4 + length]
        return kind, body


def _u32(data: bytes) -> array[int]:
    tokens = array("I")
    assert tokens.itemsize == 4
    tokens.frombytes(data)
    if byteorder != "little":
        tokens.byteswap()
    return tokens


def decode(kind: int, body: bytes) -> Message:
    """@raises WireError for anything that is not exactly a frame of a gateway"""
    try:
        if kind == OFFER:
            session, base, prefix_hash, count = _OFFER.unpack_from(body)
            if len(body) != _OFFER.size + 4 * count:
                raise WireError(f"an offer of {count} tokens in {len(body)} bytes")
            return Offer(session, base, prefix_hash, _u32(body[_OFFER.size :]))
        if kind == BEGIN:
            session, count = _BEGIN.unpack_from(body)
            if len(body) != _BEGIN.size + count:
                raise WireError(f"a request id of {count} bytes in {len(body)} bytes")
            return Begin(session, body[_BEGIN.size :].decode("utf-8"))
        if kind == END:
            (session,) = _END.unpack(body)
            return End(session)
        if kind == AUTH and len(body) == NONCE_BYTES + DIGEST_BYTES:
            return Auth(body[:NONCE_BYTES], body[NONCE_BYTES:])
        if kind == AUTH and len(body) == DIGEST_BYTES:
            raise WireError(
                f"version 1 of the protocol, and this plugin speaks {VERSION}; install the same release of both"
            )
        if kind == STATISTICS and not body:
            return AskStatistics()
    except (struct.error, UnicodeDecodeError) as error:
        raise WireError(f"a frame of type {kind} that cannot be read: {error}") from error
    raise WireError(f"a frame of type {kind} with {len(body)} bytes is not expected")


def encode(kind: int, body: bytes) -> bytes:
    return _LENGTH.pack(1 + len(body)) + bytes((kind,)) + body


def challenge(nonce: bytes) -> bytes:
    return encode(CHALLENGE, MAGIC + struct.pack("<H", VERSION) + nonce)


def proof(secret: str, label: bytes, plugin_nonce: bytes, gateway_nonce: bytes, told: bytes = b"") -> bytes:
    """That its maker knows the secret, now, and says this."""
    return hmac.digest(secret.encode(), label + plugin_nonce + gateway_nonce + told, "sha256")


def ready(of: Ready, secret: str, plugin_nonce: bytes, gateway_nonce: bytes) -> bytes:
    counts = (of.vocabulary, of.most_drafts, of.rank, of.ranks, of.key, of.offer_tokens, of.sessions, of.binds)
    told = _READY.pack(*counts)
    return encode(READY, proof(secret, PLUGIN, plugin_nonce, gateway_nonce, told) + told)


def refused(reason: str) -> bytes:
    return encode(REFUSED, reason.encode())
