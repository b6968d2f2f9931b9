"""Testing: what a metered provider offers, in this process or in its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from payonce.money import Money
from payonce.pricing import Prices
from payonce.testing.bill import BilledCall
from payonce.testing.desk import SeenRequest
from payonce.testing.faults import Fault, Hold
from payonce.testing.prices import Price, tell


class Metered(ABC):
    """Where the provider is, what it billed, and how to make it fail."""

    @property
    @abstractmethod
    def url(self) -> str:
        """`http://127.0.0.1:port`."""

    @property
    @abstractmethod
    def prices(self) -> Mapping[str, Price]:
        """What it charges for calls of a model, by the model's name; `"*"` is every other one."""

    @property
    @abstractmethod
    def bill(self) -> list[BilledCall]:
        """All billed calls, oldest first."""

    @property
    @abstractmethod
    def requests(self) -> list[SeenRequest]:
        """All physical requests, refused ones included, in the order of their arrival."""

    @abstractmethod
    def fail(self, label: str | None, fault: Fault | Hold, times: int | None = 1) -> None:
        """Let the next `times` requests with this label meet a fault.

        Faults are taken in the order they were queued; a label of None is any, times of None is
        ever.
        """

    @abstractmethod
    def heal(self) -> None:
        """Forget all faults that wait."""

    @abstractmethod
    def stop(self) -> None:
        """Close the socket and every connection; the bill can still be read."""

    @property
    def openai_url(self) -> str:
        """The `base_url` of an OpenAI client."""
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        """The `base_url` of an Anthropic client."""
        return self.url

    @property
    def azure_url(self) -> str:
        """The `azure_endpoint` of an Azure client of OpenAI's SDK."""
        return f"{self.url}/azure"

    @property
    def vertex_url(self) -> str:
        """The `base_url` of Anthropic's client for Vertex."""
        return f"{self.url}/vertex"

    @property
    def bedrock_url(self) -> str:
        """The `endpoint_url` of boto3's `bedrock-runtime` client."""
        return f"{self.url}/bedrock"

    @property
    def gemini_url(self) -> str:
        """The `base_url` of google-genai's `HttpOptions`."""
        return f"{self.url}/gemini"

    @property
    def mistral_url(self) -> str:
        """The `server_url` of mistralai's client."""
        return f"{self.url}/mistral"

    @property
    def cohere_url(self) -> str:
        """The `base_url` of Cohere's clients."""
        return f"{self.url}/cohere"

    @property
    def groq_url(self) -> str:
        """The `base_url` of Groq's client."""
        return f"{self.url}/groq"

    @property
    def together_url(self) -> str:
        """The `base_url` of Together's client."""
        return f"{self.url}/together"

    @property
    def rest_url(self) -> str:
        """Where the billed API that is no model has its collections: `f"{rest_url}/v1/charges"`."""
        return f"{self.url}/rest"

    def environ(self) -> dict[str, str]:
        """What to add to a child process's environment, so that its SDKs call this provider.

        mistralai reads no variable for its address: pass it `server_url=os.environ[...]` with our
        `MISTRAL_SERVER_URL`; in the same way `METERED_REST_URL` is our own.
        """
        return {
            "OPENAI_BASE_URL": self.openai_url,
            "OPENAI_API_KEY": "sk-metered",
            "AZURE_OPENAI_ENDPOINT": self.azure_url,
            "AZURE_OPENAI_API_KEY": "metered",
            "ANTHROPIC_BASE_URL": self.anthropic_url,
            "ANTHROPIC_API_KEY": "sk-ant-metered",
            "ANTHROPIC_BEDROCK_BASE_URL": self.bedrock_url,
            "ANTHROPIC_VERTEX_BASE_URL": self.vertex_url,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.bedrock_url,
            "AWS_ACCESS_KEY_ID": "AKIAMETERED",
            "AWS_SECRET_ACCESS_KEY": "metered",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "GOOGLE_GEMINI_BASE_URL": self.gemini_url,
            "GOOGLE_API_KEY": "metered",
            "MISTRAL_SERVER_URL": self.mistral_url,
            "MISTRAL_API_KEY": "metered",
            "METERED_REST_URL": self.rest_url,
            "CO_API_URL": self.cohere_url,
            "CO_BASE_URL": self.cohere_url,
            "CO_API_KEY": "metered",
            "GROQ_BASE_URL": self.groq_url,
            "GROQ_API_KEY": "metered",
            "TOGETHER_BASE_URL": self.together_url,
            "TOGETHER_API_KEY": "metered",
        }

    def billed(self, label: str | None = None) -> int:
        """How many calls were billed, of this label or of all."""
        return sum(label in (None, call.label) for call in self.bill)

    def received(self, label: str | None = None) -> int:
        """How many physical requests arrived, of this label or of all."""
        return sum(label in (None, seen.label) for seen in self.requests)

    def tell(self, prices: Prices) -> None:
        """Tell `app.prices` what this provider charges: then the journal's costs are its bill."""
        tell(prices, self.prices)

    @property
    def cost(self) -> Money:
        """The sum of the bill."""
        return Money(sum(call.cost_nanos for call in self.bill))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
