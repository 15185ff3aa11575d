"""What a review for the doctor has found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Review:
    """What was found about a part of the configuration, in sentences.

    Attributes:
        notes: facts.
        faults: why it cannot be used, or not for everything.
        unsafe: what is unsafe about it.
        present: of a store, whether it has users.
    """

    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    unsafe: tuple[str, ...] = ()
    present: bool = True
