"""Decision, inside `failure`: the error codes and types of LLM providers and clouds.

Sources: the error references of OpenAI, Anthropic, Google (Gemini, `google.rpc.ErrorInfo`),
AWS (Bedrock runtime, and the throttling codes of botocore's standard retry mode) and Stripe.
A code is precise and decides; a type is as coarse as a status, and decides where there is no
status (an error event in a stream that began with 200).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from payonce.chain import Link, read
from payonce.failure.finding import (
    ACCOUNT,
    CODE,
    CONFIG,
    CREDENTIALS,
    INPUT,
    NOTHING,
    Finding,
    Rank,
    words,
)
from payonce.model import Kind

CODES = words(
    # the account has to be paid, raised or opened
    (Kind.DETERMINISTIC, ACCOUNT, "insufficient_quota credit_balance_exhausted billing_error"),
    (Kind.DETERMINISTIC, ACCOUNT, "organization_spend_limit_exceeded billing_not_active"),
    (Kind.DETERMINISTIC, ACCOUNT, "project_spend_limit_exceeded billing_hard_limit_reached"),
    (Kind.DETERMINISTIC, ACCOUNT, "organization_usage_limit_exceeded access_terminated"),
    (Kind.DETERMINISTIC, ACCOUNT, "enforced_spend_limit_reached contract_spend_limit_reached"),
    (Kind.DETERMINISTIC, ACCOUNT, "linked_organization_spend_limit_reached account_deactivated"),
    (Kind.DETERMINISTIC, ACCOUNT, "unsupported_country_region_territory BILLING_DISABLED"),
    (Kind.DETERMINISTIC, ACCOUNT, "CONSUMER_SUSPENDED SERVICE_DISABLED OptInRequired"),
    (Kind.DETERMINISTIC, ACCOUNT, "ServiceQuotaExceededException insufficient_balance"),
    # who asks
    (Kind.DETERMINISTIC, CREDENTIALS, "invalid_api_key incorrect_api_key invalid_organization"),
    (Kind.DETERMINISTIC, CREDENTIALS, "API_KEY_INVALID API_KEY_SERVICE_BLOCKED AuthFailure"),
    (Kind.DETERMINISTIC, CREDENTIALS, "ACCESS_TOKEN_EXPIRED ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
    (Kind.DETERMINISTIC, CREDENTIALS, "AccessDenied AccessDeniedException ExpiredToken"),
    (Kind.DETERMINISTIC, CREDENTIALS, "ExpiredTokenException UnrecognizedClientException"),
    (Kind.DETERMINISTIC, CREDENTIALS, "InvalidSignatureException SignatureDoesNotMatch"),
    (Kind.DETERMINISTIC, CREDENTIALS, "InvalidClientTokenId InvalidAccessKeyId"),
    (Kind.DETERMINISTIC, CREDENTIALS, "MissingAuthenticationToken UnauthorizedOperation"),
    # what is asked
    (Kind.DETERMINISTIC, INPUT + CODE, "context_length_exceeded string_above_max_length"),
    (Kind.DETERMINISTIC, INPUT + CODE, "request_too_large ValidationException ValidationError"),
    (Kind.DETERMINISTIC, CODE, "unsupported_parameter unsupported_value unknown_parameter"),
    (Kind.DETERMINISTIC, CODE, "missing_required_parameter invalid_function_parameters"),
    (Kind.DETERMINISTIC, CODE, "InvalidParameterValue MissingParameter SerializationException"),
    (Kind.DETERMINISTIC, CONFIG + CODE, "model_not_found DeploymentNotFound NoSuchBucket"),
    (Kind.DETERMINISTIC, CONFIG + CODE, "ResourceNotFoundException QueueDoesNotExist"),
    (Kind.DETERMINISTIC, CONFIG + CODE, "AWS.SimpleQueueService.NonExistentQueue"),
    # too fast
    (Kind.THROTTLED, NOTHING, "rate_limit_exceeded slow_down ramp_limit_exceeded rate_limit"),
    (Kind.THROTTLED, NOTHING, "too_many_requests Throttling ThrottlingException SlowDown"),
    (Kind.THROTTLED, NOTHING, "ThrottledException RequestThrottledException RequestThrottled"),
    (Kind.THROTTLED, NOTHING, "TooManyRequestsException ProvisionedThroughputExceededException"),
    (Kind.THROTTLED, NOTHING, "RequestLimitExceeded BandwidthLimitExceeded EC2ThrottledException"),
    (Kind.THROTTLED, NOTHING, "LimitExceededException RATE_LIMIT_EXCEEDED rateLimitExceeded"),
    (Kind.THROTTLED, NOTHING, "userRateLimitExceeded"),
    # the model could not do what was asked of it this time
    (Kind.STOCHASTIC, NOTHING, "json_validate_failed tool_use_failed"),
    # time mends these
    (Kind.TRANSIENT, NOTHING, "server_is_overloaded engine_overloaded lock_timeout"),
    (Kind.TRANSIENT, NOTHING, "server_error api_error overloaded_error timeout_error"),
    (Kind.TRANSIENT, NOTHING, "idempotency_key_in_use PriorRequestNotComplete RequestTimeout"),
    (Kind.TRANSIENT, NOTHING, "RequestTimeoutException TransactionInProgressException"),
    (Kind.TRANSIENT, NOTHING, "InternalServerError InternalServerException InternalError"),
    (Kind.TRANSIENT, NOTHING, "InternalFailure ServiceUnavailable ServiceUnavailableException"),
    (Kind.TRANSIENT, NOTHING, "ModelNotReadyException ModelTimeoutException OperationAborted"),
    (Kind.TRANSIENT, NOTHING, "ModelErrorException ModelStreamErrorException"),
    (Kind.TRANSIENT, NOTHING, "TransactionConflictException MPAgreementBeingCreated backendError"),
    (Kind.TRANSIENT, NOTHING, "capacity_exceeded cluster_block_exception internalError"),
    # mostly the same again, but some filters are drawn; may be an own earlier write
    (Kind.UNKNOWN, NOTHING, "content_policy_violation content_filter moderation_blocked"),
    (Kind.UNKNOWN, NOTHING, "ResponsibleAIPolicyViolation ConditionalCheckFailedException"),
    (Kind.UNKNOWN, NOTHING, "TransactionCanceledException NoSuchKey card_declined quotaExceeded"),
    (Kind.UNKNOWN, NOTHING, "processing_error dailyLimitExceeded"),
)

TYPES = words(
    (Kind.DETERMINISTIC, INPUT + CODE, "invalid_request_error INVALID_ARGUMENT"),
    (Kind.DETERMINISTIC, CREDENTIALS, "authentication_error UNAUTHENTICATED"),
    (Kind.DETERMINISTIC, CREDENTIALS + ACCOUNT, "permission_error PERMISSION_DENIED"),
    (Kind.DETERMINISTIC, CONFIG + CODE, "not_found_error NOT_FOUND"),
    (Kind.DETERMINISTIC, ACCOUNT + CONFIG, "FAILED_PRECONDITION"),
    (Kind.THROTTLED, NOTHING, "rate_limit_error RESOURCE_EXHAUSTED tokens requests"),
    (Kind.TRANSIENT, NOTHING, "service_unavailable_error conflict_error UNAVAILABLE"),
    (Kind.TRANSIENT, NOTHING, "DEADLINE_EXCEEDED INTERNAL ABORTED"),
)

MESSAGES = (
    (re.compile(r"credit balance is too low"), "credit_balance_too_low", ACCOUNT),
    (re.compile(r"reached your (?:specified )?API usage limits"), "usage_limit", ACCOUNT),
    (re.compile(r"'?quotaId'?: '[^']*PerDay"), "quota per day", ACCOUNT),
    (re.compile(r"limited to \d+ API calls / month"), "calls per month", ACCOUNT),
    (re.compile(r"API key not valid"), "API_KEY_INVALID", CREDENTIALS),
)

_CODE_PATHS = (
    "code",
    "body.code",
    "body.error.code",
    "body.error.details.error_code",
    "error.code",
    "response.Error.Code",
    "response.error.code",
    "reason",
)
_TYPE_PATHS = ("type", "body.type", "body.error.type", "body.error.status", "status")


def judge(link: Link) -> Finding | None:
    """What the provider's own code says, else its type where the answer has no bad status."""
    said = list(_said(link))
    for word in said:
        if word in CODES:
            kind, wakes_on = CODES[word]
            if link.status == 413 and kind is Kind.THROTTLED:
                kind, wakes_on = Kind.DETERMINISTIC, INPUT
            return Finding(Rank.CODE, kind, f"{_name_of(link)} {word}", wakes_on)
    if link.status is not None:
        return _judge_message(link)
    for word in said:
        if word in TYPES and (link.body or link.response is not None):
            kind, wakes_on = TYPES[word]
            return Finding(Rank.STATUS, kind, f"{_name_of(link)} {word}", wakes_on)
    return None


def message_of(link: Link) -> str | None:
    """The provider's own sentence, without the wrapping of its SDK."""
    for path in ("message", "error.message"):
        text = read(link.body, path)
        if isinstance(text, str) and text:
            return text
    return None


def _said(link: Link) -> Iterator[str]:
    for path in _CODE_PATHS + _TYPE_PATHS:
        word = read(link.body, path[5:]) if path.startswith("body.") else link.read(path)
        if isinstance(word, str):
            yield word
    for detail in _details(link):
        reason = read(detail, "reason")
        if isinstance(reason, str):
            yield reason


def _details(link: Link) -> list[object]:
    found: list[object] = []
    for path in ("error.details", "details", "error.errors", "errors"):
        details = read(link.body, path)
        found += details if isinstance(details, list) else []
    return found


def _judge_message(link: Link) -> Finding | None:
    if link.status not in (400, 402, 403, 429):
        return None
    for pattern, word, wakes_on in MESSAGES:
        if pattern.search(link.message):
            evidence = f"{_name_of(link)} {word}"
            return Finding(Rank.CODE, Kind.DETERMINISTIC, evidence, wakes_on)
    return None


def _name_of(link: Link) -> str:
    return {"botocore": "aws"}.get(link.package, link.package)
