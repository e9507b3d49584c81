"""Bounds of everything that a peer can make grow, with what each is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Worst case, all at their bound: 1,024 sessions x 32 offers x about 0.6 KB, so 20 MB."""

    #: A frame from a gateway, after its length. An offer of 64 tokens has 275 bytes. Threat: memory by one long frame.
    frame_bytes: int = 1024
    #: Gateways at one time. Threat: descriptors.
    connections: int = 16
    #: Connections that have not shown the secret. They are apart, so that they keep no gateway out.
    strangers: int = 16
    #: How long a connection may take to show the secret. Threat: a stranger that is silent holds a place.
    stranger_s: float = 2.0
    #: Sessions of all connections. Beyond it, the oldest of the connection that has most of them ends.
    sessions: int = 1024
    #: Request id of a session. Threat: memory.
    request_id_bytes: int = 256
    #: Offers of one session. Beyond it, its oldest goes.
    session_offers: int = 32
    #: Tokens of one offer. Beyond it, the offer is cut.
    offer_tokens: int = 64
    #: Offers for one prefix, by different sessions that name no request. Beyond it, the one of the least successful
    #: session goes.
    prefix_offers: int = 4
    #: How long an offer may wait to be used.
    offer_age_s: float = 30.0
    #: Bytes that a peer has not read. Beyond it, the connection ends. Threat: a client that asks and does not read.
    unsent_bytes: int = 64 * 1024
    #: Bytes that are read from one connection before the next one has its turn.
    turn_bytes: int = 4096
    #: How long the mailbox works at a time; then it sleeps for `rest_factor` times as long, so that the interpreter's
    #: lock is free for the engine. Threat: a flood of frames slows vLLM's own Python.
    slice_s: float = 0.000_15
    rest_factor: float = 9.0
    #: Tokens that are hashed in one step, over all rows: a long prompt takes several steps. Threat: a prompt of 100,000
    #: tokens, at 0.1 us a token, keeps the step waiting.
    step_hash_tokens: int = 2048
    #: How far back an n-gram is looked for, in tokens.
    ngram_window_tokens: int = 4096
    #: Time that a step may spend on n-gram proposals, over all rows.
    step_ngram_s: float = 0.000_15


LIMITS = Limits()
