"""Testing: an exception made from a record of one, so that no driver or SDK has to be installed."""

from __future__ import annotations

from payonce.failure.stand_in import stand_in as stand_in
