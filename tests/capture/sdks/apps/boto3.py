"""Programs over boto3's bedrock-runtime."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore.config import Config
from tests.capture.sdks.task import At

MODEL = "anthropic.claude-3-haiku-20240307-v1:0"


def client_for(at: At) -> Any:
    return boto3.client("bedrock-runtime", config=Config(read_timeout=at.timeout))


def messages(at: At) -> Any:
    return [{"role": "user", "content": [{"text": at.prompt}]}]


def body(at: At) -> str:
    messages = [{"role": "user", "content": at.prompt}]
    asked = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": messages}
    return json.dumps(asked)


def plain(answer: Any) -> Any:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def converse(at: At) -> Any:
    answer = client_for(at).converse(modelId=MODEL, messages=messages(at))
    return plain(answer), answer["ResponseMetadata"]["RequestId"]


def converse_stream(at: At) -> Any:
    answer = client_for(at).converse_stream(modelId=MODEL, messages=messages(at))
    return list(answer["stream"])


def invoke_model(at: At) -> Any:
    answer = client_for(at).invoke_model(modelId=MODEL, body=body(at))
    return json.loads(answer["body"].read()), answer["contentType"]


def invoke_model_stream(at: At) -> Any:
    answer = client_for(at).invoke_model_with_response_stream(modelId=MODEL, body=body(at))
    return list(answer["body"])
