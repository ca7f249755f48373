"""Settings of the way in: who is let in over HTTP, how often, and how much at once."""

import math
import re
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from service.config.feedback_settings import FeedbackSettings
from service.config.template_source import CommaSeparated
from service.models import Scope

Network: TypeAlias = IPv4Network | IPv6Network


def _network(text: str) -> Network:
    """The network of an address or a network; IPv4 that is written as IPv6 becomes IPv4."""
    network = ip_network(text, strict=False)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return IPv4Network((mapped, network.prefixlen - 96)) if mapped and network.prefixlen >= 96 else network


class RequestRate(BaseModel):
    """A rate limit of `count` requests per `period`; None: no limit."""

    model_config = ConfigDict(frozen=True)
    count: int | None
    period: Literal["second", "minute", "hour"] = "minute"

    def __str__(self) -> str:
        return "unlimited" if self.count is None else f"{self.count}/{self.period}"

    @property
    def period_s(self) -> int:
        """The period in seconds."""
        return {"second": 1, "minute": 60, "hour": 3_600}[self.period]

    @property
    def per_second(self) -> float:
        """Requests in a second, on average."""
        return math.inf if self.count is None else self.count / self.period_s


def _request_rate(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.strip().lower() == "unlimited":
        return RequestRate(count=None)
    matched = re.fullmatch(r"\s*([1-9]\d{0,6})\s*/\s*(second|minute|hour)\s*", value)
    if not matched:
        raise ValueError('write "unlimited" or a number per second, minute or hour, such as "6000/minute"')
    return RequestRate(count=int(matched[1]), period=matched[2])


RequestRateSetting = Annotated[RequestRate, BeforeValidator(_request_rate)]


class HttpSettings(FeedbackSettings):
    """The service's own URL, callers without a key, proxies, rates and bounds."""

    email_public_url: str = Field(
        "http://localhost:8000",
        pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?$",
        max_length=200,
        description="URL under which people reach this service",
    )
    email_anonymous_scopes: CommaSeparated = Field(
        (),
        description="Scopes of requests without a key, from programs on this machine only: send, read. With SMTP_HOST"
        " they count at EMAIL_LOCAL_SOCKET alone, without it at a loopback port too",
    )
    email_local_socket: Path | None = Field(
        None,
        description="Unix socket where serve or api listens as well, for programs of the same user: the place of"
        " requests without a key",
    )
    email_trusted_proxies: CommaSeparated = Field(
        (),
        description="Addresses and networks of reverse proxies whose X-Forwarded-For is believed, separated by commas",
    )
    email_rate_limit_api: RequestRateSetting = Field(
        RequestRate(count=60_000, period="minute"),
        description="Requests of each key, and notifications at the webhook from each address, to one process:"
        " unlimited or n/period",
    )
    email_rate_limit_address: RequestRateSetting = Field(
        RequestRate(count=6_000, period="minute"),
        description="Other requests without a key from each address, to one process: unlimited or n/period;"
        " EMAIL_RATE_LIMIT_API where that is lower",
    )
    email_http_head_timeout_seconds: float = Field(
        10.0, gt=0, le=600, description="Time in which the head of an HTTP request must be complete, seconds"
    )
    email_http_body_timeout_seconds: float = Field(
        10.0,
        gt=0,
        le=600,
        description="Time in which the next kibibyte for each of its seconds must come of a body, or be read of an"
        " answer, seconds",
    )
    email_http_max_connections: int = Field(
        512, ge=10, le=100_000, description="HTTP connections at the same time, beside some for /healthz and /readyz"
    )
    email_http_max_bodies_mb: int = Field(
        160,
        ge=1,
        le=65_536,
        description="Size of all request bodies under way, at most, MiB; the largest one is always taken",
    )

    @field_validator("email_anonymous_scopes")
    @classmethod
    def _harmless_scopes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [scope for scope in value if scope not in (Scope.SEND, Scope.READ)]:
            raise ValueError(f"only send and read may be given to everybody, not {', '.join(wrong)}")
        return value

    @field_validator("email_trusted_proxies")
    @classmethod
    def _known_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                _network(text)
            except ValueError as error:
                raise ValueError(f"{text!r} is no address or network; write 10.0.0.7 or 10.0.0.0/8") from error
        return value

    @cached_property
    def trusted_proxies(self) -> tuple[Network, ...]:
        """EMAIL_TRUSTED_PROXIES as networks."""
        return tuple(_network(text) for text in self.email_trusted_proxies)

    @property
    def max_bodies_bytes(self) -> int:
        """EMAIL_HTTP_MAX_BODIES_MB in bytes."""
        return self.email_http_max_bodies_mb * 1024 * 1024
