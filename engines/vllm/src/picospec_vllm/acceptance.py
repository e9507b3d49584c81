"""How likely the next draft of a source is accepted, from what became of its drafts lately."""

from __future__ import annotations

from dataclasses import dataclass

#: Weight of the newest draft, at least: half of the memory is gone after 4 drafts.
FLOOR = 0.15


#: A source that rests has one draft tried after so many steps, then after twice as many, and so on. Where one more row
#: costs 5% of a step, that is 0.2% and less.
FIRST_REST_STEPS, LAST_REST_STEPS = 24, 96


@dataclass(slots=True)
class Acceptance:
    """An average that starts fast: a useless source has to be known as one after a few drafts.

    Only drafts that were judged count: those that were accepted, and the first that was rejected.
    """

    rate: float
    judged: int = 0
    floor: float = FLOOR
    #: Steps since it was tried last, while it rests, and after how many it is tried again.
    rested: int = 0
    rest_steps: int = FIRST_REST_STEPS

    @classmethod
    def of_session(cls) -> Acceptance:
        """The same for all: what became of another tenant's drafts must not tell in this one's speed."""
        return cls(0.65)

    @classmethod
    def of_ngrams(cls) -> Acceptance:
        return cls(0.3)

    def judge(self, accepted: int, proposed: int) -> None:
        if accepted:
            self.rest_steps = FIRST_REST_STEPS
        elif proposed == 1:
            self.rest_steps = min(2 * self.rest_steps, LAST_REST_STEPS)
        for outcome in (1.0,) * accepted + ((0.0,) if accepted < proposed else ()):
            self.judged += 1
            self.rate += max(1 / (self.judged + 1), self.floor) * (outcome - self.rate)

    def rests(self) -> bool:
        """Whether it is not worth looking for a draft in this step. Counts the step."""
        if self.rested == 0 or self.rested + 1 >= self.rest_steps:
            return False
        self.rested += 1
        return True
