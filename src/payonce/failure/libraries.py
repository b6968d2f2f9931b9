"""Decision, inside `failure`: classes of libraries, where no code came with them.

Sources: the libraries' own error references; PEP 249 for database drivers. Names are the
top-level package and the class. A class decides last, and only where all of its uses agree.
"""

from __future__ import annotations

import re
from dataclasses import replace

from payonce.chain import Link
from payonce.failure import phrases
from payonce.failure.finding import (
    ACCOUNT,
    CODE,
    CONFIG,
    CREDENTIALS,
    INPUT,
    NOTHING,
    SCHEMA,
    Finding,
    Rank,
    Row,
    words,
)
from payonce.model import Kind

FOLLOW_ON = frozenset({"sqlalchemy.PendingRollbackError", "django.TransactionManagementError"})

CLASSES = words(
    # SQLAlchemy, Django
    (Kind.TRANSIENT, NOTHING, "sqlalchemy.TimeoutError sqlalchemy.StaleDataError"),
    (Kind.TRANSIENT, NOTHING, "sqlalchemy.DisconnectionError psycopg_pool.PoolTimeout"),
    (Kind.TRANSIENT, NOTHING, "psycopg_pool.TooManyRequests asyncpg.InternalClientError"),
    (Kind.UNKNOWN, NOTHING, "sqlalchemy.NoResultFound sqlalchemy.MultipleResultsFound"),
    (Kind.UNKNOWN, NOTHING, "sqlalchemy.ResourceClosedError sqlalchemy.ObjectDeletedError"),
    (Kind.UNKNOWN, NOTHING, "django.ObjectDoesNotExist django.MultipleObjectsReturned"),
    (Kind.DETERMINISTIC, SCHEMA + CODE, "sqlalchemy.NoSuchTableError"),
    (Kind.DETERMINISTIC, SCHEMA + CODE, "sqlalchemy.NoReferencedTableError"),
    (Kind.DETERMINISTIC, CODE, "sqlalchemy.ArgumentError sqlalchemy.InvalidRequestError"),
    (Kind.DETERMINISTIC, CODE, "sqlalchemy.CompileError sqlalchemy.UnmappedError"),
    (Kind.DETERMINISTIC, CODE, "sqlalchemy.FlushError sqlalchemy.NoForeignKeysError"),
    (Kind.DETERMINISTIC, CODE, "sqlalchemy.IdentifierError django.FieldError"),
    (Kind.DETERMINISTIC, CODE, "django.SynchronousOnlyOperation django.AppRegistryNotReady"),
    (Kind.DETERMINISTIC, CONFIG, "django.ImproperlyConfigured sqlalchemy.NoSuchModuleError"),
    (Kind.DETERMINISTIC, INPUT, "django.ValidationError django.Http404 django.BadSignature"),
    (Kind.DETERMINISTIC, CODE, "django.SuspiciousOperation django.TemplateDoesNotExist"),
    (Kind.DETERMINISTIC, CODE, "sqlalchemy.DetachedInstanceError sqlalchemy.MissingGreenlet"),
    (Kind.DETERMINISTIC, CODE, "pydantic.PydanticUserError pydantic_ai.UserError"),
    (Kind.DETERMINISTIC, CONFIG, "pydantic_settings.SettingsError django.ConnectionDoesNotExist"),
    (Kind.DETERMINISTIC, CODE, "django.FieldDoesNotExist"),
    (Kind.DETERMINISTIC, CONFIG, "pydantic_ai.UsageLimitExceeded instructor.ConfigurationError"),
    # redis
    (Kind.TRANSIENT, NOTHING, "redis.ConnectionError redis.TimeoutError redis.NoScriptError"),
    (Kind.TRANSIENT, NOTHING, "redis.BusyLoadingError redis.ClusterDownError redis.TryAgainError"),
    (Kind.TRANSIENT, NOTHING, "redis.MasterDownError redis.WatchError redis.LockError"),
    (Kind.TRANSIENT, NOTHING, "redis.MaxConnectionsError"),
    (Kind.TRANSIENT, NOTHING, "redis.ReadOnlyError redis.OutOfMemoryError"),
    (Kind.DETERMINISTIC, CREDENTIALS, "redis.AuthenticationError redis.NoPermissionError"),
    (Kind.DETERMINISTIC, CREDENTIALS, "redis.AuthorizationError"),
    (
        Kind.DETERMINISTIC,
        CODE,
        "redis.DataError redis.ExecAbortError redis.CrossSlotTransactionError",
    ),
    # MongoDB, RabbitMQ, SMTP
    (Kind.TRANSIENT, NOTHING, "pymongo.AutoReconnect pymongo.WaitQueueTimeoutError"),
    (Kind.TRANSIENT, NOTHING, "pymongo.CursorNotFound pymongo.ExecutionTimeout"),
    (Kind.UNKNOWN, NOTHING, "pymongo.DuplicateKeyError"),
    (Kind.DETERMINISTIC, CONFIG, "pymongo.ConfigurationError pymongo.InvalidURI"),
    (Kind.DETERMINISTIC, CODE + INPUT, "pymongo.InvalidName bson.InvalidDocument"),
    (Kind.DETERMINISTIC, CODE + INPUT, "pymongo.DocumentTooLarge pymongo.InvalidOperation"),
    (Kind.TRANSIENT, NOTHING, "pika.AMQPConnectionError pika.ConnectionClosed celery.Retry"),
    (Kind.UNKNOWN, NOTHING, "lxml.XMLSyntaxError yaml.YAMLError tomllib.TOMLDecodeError"),
    (Kind.UNKNOWN, NOTHING, "billiard.TimeLimitExceeded billiard.SoftTimeLimitExceeded"),
    (Kind.DETERMINISTIC, CREDENTIALS, "pika.AuthenticationError pika.ProbableAccessDeniedError"),
    (Kind.DETERMINISTIC, CREDENTIALS, "pika.ProbableAuthenticationError"),
    (Kind.TRANSIENT, NOTHING, "smtplib.SMTPServerDisconnected"),
    (Kind.DETERMINISTIC, CONFIG, "smtplib.SMTPNotSupportedError"),
    # what an HTTP client refuses to send, or to follow
    (Kind.DETERMINISTIC, CONFIG + CODE, "httpx.InvalidURL httpx2.InvalidURL"),
    (Kind.DETERMINISTIC, CONFIG + CODE, "requests.InvalidURL requests.MissingSchema"),
    (Kind.DETERMINISTIC, CONFIG + CODE, "requests.InvalidSchema aiohttp.InvalidURL"),
    (Kind.DETERMINISTIC, CONFIG + CODE, "urllib3.LocationValueError"),
    (Kind.DETERMINISTIC, CODE, "httpx.StreamError httpx2.StreamError requests.InvalidHeader"),
    (Kind.DETERMINISTIC, CONFIG, "aiohttp.ClientConnectorCertificateError"),
    (Kind.TRANSIENT, NOTHING, "aiohttp.HttpProcessingError"),
    (Kind.UNKNOWN, NOTHING, "aiohttp.ContentTypeError requests.ContentDecodingError"),
    (Kind.UNKNOWN, NOTHING, "httpx.DecodingError httpx2.DecodingError"),
    # credentials that aren't there
    (Kind.DETERMINISTIC, CREDENTIALS, "botocore.NoCredentialsError google.DefaultCredentialsError"),
    (Kind.DETERMINISTIC, CREDENTIALS, "botocore.PartialCredentialsError google.RefreshError"),
    (Kind.DETERMINISTIC, CREDENTIALS, "botocore.TokenRetrievalError stripe.AuthenticationError"),
    (Kind.DETERMINISTIC, CONFIG, "botocore.NoRegionError botocore.ProfileNotFound"),
    (Kind.DETERMINISTIC, CODE, "botocore.ParamValidationError botocore.UnknownServiceError"),
    (Kind.DETERMINISTIC, ACCOUNT, "litellm.BudgetExceededError"),
    # a model's answer that was paid for and can't be used
    (Kind.STOCHASTIC, NOTHING, "openai.LengthFinishReasonError"),
    (Kind.STOCHASTIC, NOTHING, "openai.ContentFilterFinishReasonError"),
    (Kind.STOCHASTIC, NOTHING, "instructor.InstructorRetryException instructor.ValidationError"),
    (Kind.STOCHASTIC, NOTHING, "instructor.IncompleteOutputException"),
    (Kind.STOCHASTIC, NOTHING, "langchain_core.OutputParserException"),
    (
        Kind.STOCHASTIC,
        NOTHING,
        "pydantic_ai.UnexpectedModelBehavior litellm.JSONSchemaValidationError",
    ),
    # could be the queue's payload, a file, or a model's answer
    (Kind.UNKNOWN, NOTHING, "pydantic_core.ValidationError pydantic.ValidationError"),
    (Kind.UNKNOWN, NOTHING, "msgspec.ValidationError msgspec.DecodeError orjson.JSONDecodeError"),
    (Kind.UNKNOWN, NOTHING, "jsonschema.ValidationError requests.JSONDecodeError"),
    (Kind.UNKNOWN, NOTHING, "simplejson.JSONDecodeError json.JSONDecodeError"),
    # templates
    (Kind.DETERMINISTIC, CODE, "jinja2.TemplateError"),
)

TRANSPORT = words(
    (Kind.TRANSIENT, NOTHING, "ConnectError ConnectTimeout ConnectTimeoutError PoolTimeout"),
    (Kind.TRANSIENT, NOTHING, "ReadTimeout ReadTimeoutError WriteTimeout"),
    (Kind.TRANSIENT, NOTHING, "RemoteProtocolError ProtocolError IncompleteRead"),
    (Kind.TRANSIENT, NOTHING, "ChunkedEncodingError ClientPayloadError NewConnectionError"),
    (Kind.TRANSIENT, NOTHING, "ServerDisconnectedError ServerTimeoutError ConnectionClosed"),
    (Kind.TRANSIENT, NOTHING, "ConnectionClosedError EndpointConnectionError TransportError"),
    (Kind.TRANSIENT, NOTHING, "TimeoutException HTTPClientError ConnectionTimeout"),
    (Kind.TRANSIENT, NOTHING, "APITimeoutError APIResponseTimeoutError ClientOSError Timeout"),
    (Kind.TRANSIENT, NOTHING, "ServiceUnavailableError ServerSelectionTimeoutError ProxyError"),
    (Kind.DETERMINISTIC, CODE, "LocalProtocolError"),
    (Kind.DETERMINISTIC, CONFIG + CODE, "UnsupportedProtocol TooManyRedirects LocationParseError"),
)
WRAPPERS = frozenset(
    {
        "APIConnectionError",
        "ConnectionError",
        "MaxRetryError",
        "ClientConnectionError",
        "SSLError",
        "RetryError",
    }
)
_CLIENTS = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "requests", "urllib3"})
_CLIENTS_ONLY = frozenset({"ReadError", "WriteError", "CloseError", "NetworkError"})
_PASSES = ("retriable", "retryable", "is_retryable", "is_transient", "isrecoverable")
_SURE_OF_TRANSPORT = (Kind.TRANSIENT, NOTHING)

_PEP_249: dict[str, Row] = {
    "ProgrammingError": (Kind.DETERMINISTIC, CODE),
    "NotSupportedError": (Kind.DETERMINISTIC, CODE),
    "DataError": (Kind.DETERMINISTIC, INPUT + CODE),
    "IntegrityError": (Kind.UNKNOWN, NOTHING),
    "OperationalError": (Kind.UNKNOWN, NOTHING),
    "InternalError": (Kind.UNKNOWN, NOTHING),
    "InterfaceError": (Kind.UNKNOWN, NOTHING),
}

NOTHING_GIVEN = "pydantic: nothing given"
"""The evidence of a model that was built from nothing at all: settings without a variable, say."""

_ERRORS = re.compile(r"(?P<count>\d+) validation errors? for (?P<title>\S+)$", re.MULTILINE)
_LACKS = re.compile(
    r"^(?P<field>[^\s.]+)\n  .* \[type=missing, input_value=\{\}, input_type=dict\]$", re.MULTILINE
)
_BUILT = ("pydantic.main", "BaseModel.__init__")

_ANSWER_PARSERS = (
    "openai.lib.", "openai._response", "openai._models", "anthropic.lib.",
    "anthropic._response", "anthropic._models", "instructor.", "langchain_core.output_parsers",
    "pydantic_ai.", "google.genai.", "litellm.", "mistralai.", "dspy.", "llama_index.",
)  # fmt: skip
_ANSWER_ERRORS = frozenset(
    {
        "pydantic_core.ValidationError", "pydantic.ValidationError", "json.JSONDecodeError",
        "msgspec.ValidationError", "msgspec.DecodeError", "jsonschema.ValidationError",
        "orjson.JSONDecodeError",
    }
)  # fmt: skip


def is_follow_on(link: Link) -> bool:
    """Whether the error only says that an earlier one was not dealt with."""
    return not FOLLOW_ON.isdisjoint(link.shorts)


def judge(link: Link) -> Finding | None:
    """What the class says, the most derived first."""
    hinted = _judge_hint(link)
    if hinted is not None:
        return hinted
    missing = _judge_missing_credentials(link)
    if missing is not None:
        return missing
    for short in link.shorts:
        found = _judge_class(link, short)
        if found is not None:
            return found
    return None


def _judge_hint(link: Link) -> Finding | None:
    """What an exception says of repetition by itself (Kafka's, Temporal's, Oracle's do)."""
    if any(link.read(path) is True for path in _PASSES):
        return _finding(link, (Kind.TRANSIENT, NOTHING))
    if link.read("non_retryable") is True:
        return _finding(link, (Kind.DETERMINISTIC, CODE + INPUT))
    return None


def _judge_class(link: Link, short: str) -> Finding | None:
    package, _, name = short.partition(".")
    if short in CLASSES:
        return _answer_or(link, short, CLASSES[short])
    if package in ("builtins", "ssl"):
        return None
    if name in TRANSPORT or (package in _CLIENTS and name in _CLIENTS_ONLY):
        return _finding(link, TRANSPORT.get(name, _SURE_OF_TRANSPORT))
    if name in WRAPPERS:
        return _finding(link, _SURE_OF_TRANSPORT, Rank.WRAPPER)
    if name in _PEP_249 and not {f"{package}.DatabaseError", f"{package}.Error"}.isdisjoint(
        link.shorts
    ):
        return _judge_driver(link, _PEP_249[name])
    return None


def _finding(link: Link, row: Row, rank: Rank = Rank.LIBRARY) -> Finding:
    return Finding(rank, row[0], link.names[0], row[1])


def _answer_or(link: Link, short: str, row: Row) -> Finding:
    """Stochastic where the traceback shows that a model's answer was being read."""
    if short in _ANSWER_ERRORS:
        modules = {module for module, _, _ in link.frames()}
        if any(module.startswith(_ANSWER_PARSERS) for module in modules):
            return _finding(link, (Kind.STOCHASTIC, NOTHING))
        if any(module.startswith("pydantic_settings.") for module in modules):
            return _finding(link, (Kind.DETERMINISTIC, CONFIG))
        return _judge_nothing_given(link) or _finding(link, row)
    return _finding(link, row)


def _judge_nothing_given(link: Link) -> Finding | None:
    """A model that was built, not read from a document, and got none of its fields.

    Only settings and code do that. A live exception says by its traceback that a model was built;
    one that was recorded has none. An answer `{}` that was taken apart first looks the same:
    whoever knows the answers looks there first.
    """
    head = _ERRORS.match(link.message)
    fields = _LACKS.findall(link.message)
    if head is None or len(fields) != int(head["count"]):
        return None
    frames = [(module, function) for module, function, _ in link.frames()]
    if frames and frames[-1] != _BUILT:
        return None
    says = f"{head['title']} got nothing, and lacks {', '.join(fields)}"
    return Finding(Rank.LIBRARY, Kind.DETERMINISTIC, NOTHING_GIVEN, CONFIG + CODE, says)


def _judge_driver(link: Link, row: Row) -> Finding:
    """A database driver's own error: without a code only its PEP 249 class is left."""
    if link.read("connection_invalidated") is True:
        return _finding(link, (Kind.TRANSIENT, NOTHING))
    if row[0] is Kind.UNKNOWN and "cursor" not in link.message:
        said = phrases.judge(link)
        return replace(said, rank=Rank.LIBRARY) if said is not None else _finding(link, row)
    return _finding(link, row)


def _judge_missing_credentials(link: Link) -> Finding | None:
    """An SDK's client that was built without a key says so in its message alone."""
    root_error = {"openai.OpenAIError", "anthropic.AnthropicError", "groq.GroqError"}
    text = link.message
    if link.shorts[0] in root_error and ("credentials" in text or "api_key" in text):
        return Finding(Rank.LIBRARY, Kind.DETERMINISTIC, link.names[0], CREDENTIALS + CONFIG)
    return None
