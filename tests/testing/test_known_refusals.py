"""What is known of each provider's refusals, and what payonce makes of them, agree."""

from __future__ import annotations

import pytest
from tests.testing.doors import DOORS

import payonce
from payonce.model import Kind
from payonce.testing import KnownRefusal, MeteredProvider, refusals

AGREES = {
    "never": {Kind.DETERMINISTIC},
    "later": {Kind.THROTTLED, Kind.TRANSIENT},
    "doubt": {Kind.TRANSIENT, Kind.UNKNOWN},
}


@pytest.mark.parametrize("known", refusals(), ids=lambda known: f"{known.provider}-{known.name}")
def test_classifier_agrees(provider: MeteredProvider, known: KnownRefusal) -> None:
    """The error that a provider's SDK raises is classified by what asking again would do."""
    door = DOORS[known.provider]
    provider.fail("outline", known.fault)
    with pytest.raises(door.raises) as caught:
        list(door.ask(provider, False, 30.0))
    assert payonce.classify(caught.value).kind in AGREES[known.again]
