"""Decision: what a failure is. Rules are data, one module per family of codes.

`classify` reads an exception by names and attributes alone, so a recorded one is classified
like a live one, and no optional package is imported.
"""

from __future__ import annotations

from payonce.failure.rules import Rule, Rules
from payonce.failure.weigh import classify

__all__ = ["Rule", "Rules", "classify"]
