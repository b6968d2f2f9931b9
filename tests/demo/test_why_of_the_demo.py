"""What `payonce why` says of the journal that the demo keeps."""

from __future__ import annotations

import re

from click.testing import CliRunner
from tests.demo.conftest import Told

from payonce.cli import main


def test_the_first_sentence_tells_the_accident_and_its_end(told: Told) -> None:
    """What parked, why, what the 20 further deliveries cost, and that it healed for nothing.

    On a busy machine the app's own look comes before the queue's last delivery, as one more.
    """
    store = f"sqlite:///{told.folder / 'protected' / 'payonce.db'}"
    result = CliRunner().invoke(main, ["why", "--store", store], catch_exceptions=False)
    assert result.exit_code == 0
    first = result.stdout.partition("\n")[0]
    assert re.fullmatch(
        r"(All|Less than 1 %|\d+ %) of the .* on \d+ \w+ \d{4} went to one run, "
        r"batch\.generate_course course:42 of tenant acme: 2[23] deliveries by Cloud Tasks.* "
        r"\(2[12] of them repeats\) in .*; it parked after .*: "
        r'column "outline" of table "courses" does not exist; '
        r"the 20 further deliveries while it was parked cost nothing; "
        r"attempt 2 ended it, paying nothing again\.",
        first,
    ), first
