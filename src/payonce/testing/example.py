"""Testing: a value that follows a JSON schema, for tools and structured answers; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "bee@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000001",
}
_DEEP, _DEEPEST = 4, 12


def example(schema: Schema, text: str) -> Any:
    """The simplest value that a schema allows, with `text` wherever it wants a string.

    Objects have what they require (everything, where nothing is), lists one element; deep down,
    where a schema may refer to itself, null and the empty list are taken. A `pattern` isn't
    followed.

    Raises:
        ValueError: the schema requires itself, or refers to what it doesn't define.
    """
    return _value(schema, text, schema, 0)


def _value(schema: Schema, text: str, root: Schema, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError("the schema requires itself without end")
    schema = _resolved(schema, root, deep=depth > _DEEP)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    match _kind(schema):
        case "object":
            return _object(schema, text, root, depth)
        case "array":
            items = schema.get("items") or {}
            count = int(schema.get("minItems") or (depth <= _DEEP))
            return [_value(items, text, root, depth + 1) for _ in range(count)]
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "null":
            return None
    return _string(schema, text)


def _resolved(schema: Schema, root: Schema, *, deep: bool) -> Schema:
    """Follow references, join `allOf`, and take an alternative: null deep down, else the first."""
    if "$ref" in schema:
        target: Any = root
        for name in filter(None, str(schema["$ref"]).removeprefix("#").split("/")):
            target = target.get(name)
            if not isinstance(target, Mapping):
                raise ValueError(f"the schema does not define {schema['$ref']}")
        return _resolved(target, root, deep=deep)
    for word in ("anyOf", "oneOf"):
        if schema.get(word):
            options = [_resolved(option, root, deep=deep) for option in schema[word]]
            return next((o for o in options if (_kind(o) == "null") == deep), options[0])
    if schema.get("allOf"):
        parts = [_resolved(part, root, deep=deep) for part in schema["allOf"]]
        properties = {k: v for part in parts for k, v in part.get("properties", {}).items()}
        required = [name for part in parts for name in part.get("required", ())]
        joined = {k: v for part in parts for k, v in part.items()}
        return {**joined, "properties": properties, "required": required}
    return schema


def _kind(schema: Schema) -> str:
    """The type's name; Gemini writes it in capitals."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None:
        return "object" if "properties" in schema else "string"
    return str(kind).lower()


def _object(schema: Schema, text: str, root: Schema, depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    names = schema.get("required") or list(properties)
    return {name: _value(properties.get(name, {}), text, root, depth + 1) for name in names}


def _number(schema: Schema) -> Any:
    least = schema.get("minimum")
    if least is None and "exclusiveMinimum" in schema:
        least = schema["exclusiveMinimum"] + 1
    return 1 if least is None else least


def _string(schema: Schema, text: str) -> str:
    given = _FORMATS.get(str(schema.get("format")), text)
    given = given.ljust(int(schema.get("minLength") or 0), ".")
    return given[: schema.get("maxLength")]
