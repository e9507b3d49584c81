"""The plugin without its bounds: a control, which the tests of attacks have to catch."""

from dataclasses import replace

from picospec_vllm.proposer import Proposer

BOUNDS = ("sessions", "session_offers", "prefix_offers", "offer_age_s")


class Unbounded(Proposer):
    def _open(self, shape, settings, limits):
        super()._open(shape, settings, replace(limits, rest_factor=1.0, **dict.fromkeys(BOUNDS, 10**6)))
