"""What a storm cost where no file has its amounts: by usage in a log, by sums over time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.audit import queue_writers as queues
from tests.audit.asking import audited, told
from tests.audit.queue_writers import lines
from tests.audit.work import START, accident

DAY = 86_400
USED = "INFO courses: answered, model=gpt-4o-mini, prompt_tokens=417, completion_tokens=53"
LISTED, WASTED = "0.00594405", "0.005661"


def _log(folder: Path, extra: str | None = None) -> Path:
    """The accident's log; with a line after each call, if one is given."""
    found: list[str] = []
    for line in queues.app_log(accident()):
        found.append(line)
        if extra is not None and "HTTP Request" in line:
            found.append(f"{line[:23]} {extra}")
    file = folder / "log"
    file.write_text("\n".join(found))
    return file


def _usage(calls: Sequence[int], *, model: str | None = "gpt-4o-mini") -> dict[str, Any]:
    """A page of days with so many calls of 417 tokens in and 53 out."""
    buckets = [
        {
            **{"object": "bucket", "start_time": int(START // DAY * DAY + n * DAY)},
            "end_time": int(START // DAY * DAY + (n + 1) * DAY),
            "results": [
                {
                    "object": "organization.usage.completions.result",
                    **{"input_tokens": 417 * count, "output_tokens": 53 * count},
                    **{"num_model_requests": count, "model": model},
                }
            ],
        }
        for n, count in enumerate(calls)
    ]
    return {"object": "page", "data": buckets, "has_more": False, "next_page": None}


def _page(folder: Path, page: dict[str, Any], name: str = "page") -> Path:
    file = folder / name
    file.write_text(json.dumps(page))
    return file


def test_usage_in_a_log_is_priced(tmp_path: Path) -> None:
    """A line with a model and its tokens is that of the call before, at the public price."""
    (storm,) = audited(_log(tmp_path, USED)).storms
    assert (storm["calls"], storm["wasted_calls"]) == (63, 60)
    assert (storm["cost_usd"], storm["wasted_usd"]) == (LISTED, WASTED)
    assert (storm["cost_basis"], storm["calls_without_cost"]) == ("public price list", 0)
    assert (storm["input_tokens"], storm["output_tokens"]) == (63 * 417, 63 * 53)


@pytest.mark.parametrize(
    "usage",
    ['{"model": "gpt-4o-mini", "usage": {"input_tokens": 417, "output_tokens": 53}}',
     "usage=CompletionUsage(completion_tokens=53, prompt_tokens=417, total_tokens=470) "
     "model='gpt-4o-mini'",
     "model: gpt-4o-mini, input tokens: 417, output tokens: 53"],
)  # fmt: skip
def test_usage_is_read_as_apps_write_it(usage: str, tmp_path: Path) -> None:
    """As JSON, as an SDK's `repr` or in words."""
    (storm,) = audited(_log(tmp_path, f"INFO courses: {usage}")).storms
    assert (storm["calls"], storm["cost_usd"]) == (63, LISTED)


def test_usage_alone_is_a_call(tmp_path: Path) -> None:
    """Where a log has no HTTP lines, each line with a usage is a paid call."""
    file = _log(tmp_path, USED)
    rest = [line for line in file.read_text().splitlines() if "HTTP Request" not in line]
    file.write_text("\n".join(rest))
    (storm,) = audited(file).storms
    assert (storm["calls"], storm["wasted_calls"], storm["cost_usd"]) == (63, 60, LISTED)


def test_usage_in_fields_of_json_records_is_priced(tmp_path: Path) -> None:
    """A structured log has the usage beside its message."""
    records: list[dict[str, Any]] = []
    for each in accident():
        head = {"timestamp": each.at, "message": f"task {each.task}, retry count {each.number - 1}"}
        records.append(head)
        records += [
            {"timestamp": call.at, "message": "llm answered", "model": "gpt-4o-mini",
             "usage": {"prompt_tokens": 417, "completion_tokens": 53}}
            for call in each.calls
        ]  # fmt: skip
        wrong = 'psycopg.errors.UndefinedColumn: column "x" of relation "y" does not exist'
        records.append({"timestamp": each.end, "message": "failed", "exc_info": wrong})
    file = tmp_path / "log"
    file.write_text(lines(records))
    (storm,) = audited(file).storms
    assert (storm["calls"], storm["cost_usd"], storm["kind"]) == (63, LISTED, "deterministic")


def test_the_providers_sums_price_a_storm(tmp_path: Path) -> None:
    """If the provider counts the very calls of the log, their average is the price of each."""
    page = _page(tmp_path, _usage([63, 0]))
    (storm,) = audited(_log(tmp_path), page).storms
    assert (storm["cost_usd"], storm["wasted_usd"]) == (LISTED, WASTED)
    assert storm["cost_basis"] == "average of the provider's sums"
    assert "60 wasted: about 0.005661 USD." in told(_log(tmp_path), page)[1]


def test_of_more_calls_the_storm_has_its_part(tmp_path: Path) -> None:
    """Calls of other tasks in the same days cost their own part."""
    (storm,) = audited(_log(tmp_path), _page(tmp_path, _usage([600, 30]))).storms
    assert (storm["cost_usd"], storm["wasted_usd"]) == (LISTED, WASTED)


@pytest.mark.parametrize(
    ("page", "why"),
    [(_usage([2]), "fewer than the logs have"), (_usage([63], model=None), "group them by model"),
     (_usage([63], model="house-model-7"), "no model that has a public price")],
)  # fmt: skip
def test_sums_that_do_not_fit_price_nothing(page: dict[str, Any], why: str, tmp_path: Path) -> None:
    """Sums of fewer calls, or of models without a name or a price, leave the cost unknown."""
    (storm,) = audited(_log(tmp_path), _page(tmp_path, page)).storms
    assert (storm["cost_usd"], storm["cost_basis"], storm["calls_without_cost"]) == (None, None, 63)
    assert any(why in text for text in storm["cannot_know"])


def test_a_bill_goes_before_the_lists(tmp_path: Path) -> None:
    """Where the provider's amounts are there, too, they are what was paid."""
    page = _usage([63])
    costs = _usage([63])
    costs["data"][0]["results"] = [
        {"object": "organization.costs.result", "amount": {"value": "6.3", "currency": "usd"}}
    ]
    files = [_page(tmp_path, page), _page(tmp_path, costs, "costs")]
    (storm,) = audited(_log(tmp_path), *files).storms
    assert (storm["cost_usd"], storm["wasted_usd"]) == ("6.30", "6.00")


def test_sums_that_are_given_twice_count_once(tmp_path: Path) -> None:
    """The same days in two exports, also grouped in another way, are the same calls."""
    whole, split = _usage([126]), _usage([126])
    (result,) = split["data"][0]["results"]
    half = {name: value // 2 if isinstance(value, int) else value for name, value in result.items()}
    split["data"][0]["results"] = [half, half]
    files = [_page(tmp_path, page, str(n)) for n, page in enumerate([whole, whole, split])]
    (storm,) = audited(_log(tmp_path), *files).storms
    assert storm["cost_usd"] == LISTED
    assert any("of all tasks: 126 calls, 52,542 tokens in" in text for text in storm["evidence"])


def test_cached_tokens_cost_less(tmp_path: Path) -> None:
    """What the provider counts as read from its cache gets the price for that."""
    page = _usage([63])
    page["data"][0]["results"][0]["input_cached_tokens"] = 63 * 417
    (storm,) = audited(_log(tmp_path), _page(tmp_path, page)).storms
    assert storm["cost_usd"] == "0.003973725"


def test_without_money_it_is_said_which_file_would_tell(tmp_path: Path) -> None:
    """The log alone names the provider, and the export that has its usage."""
    (storm,) = audited(_log(tmp_path)).storms
    assert (storm["cost_usd"], storm["calls_without_cost"]) == (None, 63)
    assert [text for text in storm["cannot_know"] if "/v1/organization/usage/completions" in text]


@pytest.mark.parametrize(
    ("url", "provider"),
    [("https://api.anthropic.com/v1/messages", "anthropic"), ("http://llm:4000/v1/chat/completions",
     "openai"), ("http://10.0.0.7/v1/messages", "anthropic"), ("https://api.groq.com/openai/v1/chat/"
     "completions", "api.groq.com"), ("https://x.openai.azure.com/openai/v1/responses",
     "x.openai.azure.com")],
)  # fmt: skip
def test_the_provider_is_told_by_the_address(url: str, provider: str, tmp_path: Path) -> None:
    """A public host is its own provider; a private one may stand for OpenAI or Anthropic."""
    file = _log(tmp_path)
    file.write_text(file.read_text().replace("https://api.openai.com/v1/responses", url))
    (storm,) = audited(file).storms
    assert [text for text in storm["cannot_know"] if f"the calls to {provider} cost" in text]
