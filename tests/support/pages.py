"""Use the admin pages by HTTP alone, without a browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.support.running import ADMIN_TOKEN, Running, plain_client


def browser(service: Running, **headers: str) -> httpx.Client:
    """A client that sends the headers of a browser on one of our pages."""
    own = {"Accept": "text/html", "Origin": service.url, "Sec-Fetch-Site": "same-origin"}
    return plain_client(service.url, **(own | headers))


def form_token(page: httpx.Response) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def sign_in(client: httpx.Client, token: str = ADMIN_TOKEN, **fields: str) -> httpx.Response:
    fields = {"form_token": form_token(client.get("/admin/sign-in")), "token": token} | fields
    return client.post("/admin/sign-in", data=fields)


@contextmanager
def signed_in(service: Running, **headers: str) -> Iterator[httpx.Client]:
    """A client with the session of the admin."""
    with browser(service, **headers) as client:
        assert sign_in(client).status_code == 303
        yield client
