"""A client that openapi-python-client generates from /openapi.json works against the running service."""

import importlib
import subprocess
import sys
from typing import Any

import pytest

from tests.support.running import ADMIN_TOKEN, Running
from tests.support.samples import WELCOME

#: The generator knows no mail; it is told to read one as bytes. Nothing is formatted afterwards.
CONFIG = 'content_type_overrides: {"message/rfc822": "application/octet-stream"}\npost_hooks: []\n'


@pytest.fixture(scope="module")
def generated(service: Running, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Imports a module of the generated client by its name."""
    directory = tmp_path_factory.mktemp("generated")
    (directory / "config.yaml").write_text(CONFIG)
    command = [
        sys.executable, "-m", "openapi_python_client", "generate", "--url", f"{service.url}/openapi.json",
        "--meta", "none", "--output-path", str(directory / "rgz_client"), "--config", str(directory / "config.yaml"),
        "--fail-on-warning",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(directory))
    yield lambda name: importlib.import_module(f"rgz_client.{name}")
    sys.path.remove(str(directory))


def client_of(service: Running, generated: Any, token: str = ADMIN_TOKEN) -> Any:
    return generated("client").AuthenticatedClient(base_url=service.url, token=token)


def test_generated_client_sends_a_mail_and_reads_what_became_of_it(service: Running, generated: Any) -> None:
    models, send = generated("models"), generated("api.send.post_api_v1_email_send")
    variables = models.SendRequestVariables.from_dict(WELCOME)
    body = models.SendRequest(to="client@example.com", template_key="onboarding_welcome", variables=variables)
    with client_of(service, generated) as client:
        answer = send.sync_detailed(client=client, body=body, idempotency_key="generated")
        assert (answer.status_code, answer.parsed.status) == (201, "queued")
        again = send.sync_detailed(client=client, body=body, idempotency_key="generated")
        assert again.parsed.id == answer.parsed.id
        assert again.headers["idempotency-replayed"] == "true"
        message_id = answer.parsed.messages[0].id
        service.until(message_id, "sent")
        shown = generated("api.messages.get_api_v1_email_messages_message_id").sync(message_id, client=client)
        assert isinstance(shown, models.MessageAnswer)
        assert (shown.to, shown.template_key, shown.events[-1].type_) == (
            "client@example.com",
            "onboarding_welcome",
            "sent",
        )
        raw = generated("api.messages.get_api_v1_email_messages_message_id_raw").sync(message_id, client=client)
        assert b"\r\nTo: client@example.com\r\n" in raw.payload.read()
        listed = generated("api.messages.get_api_v1_email_messages").sync(client=client, to=shown.to, limit=1)
        assert [item.id for item in listed.items] == [message_id]


def test_generated_client_reads_templates_and_suppressions(service: Running, generated: Any) -> None:
    models = generated("models")
    with client_of(service, generated) as client:
        listed = generated("api.templates.get_api_v1_email_templates").sync(client=client)
        assert listed.total == len(listed.items) >= 8
        shown = generated("api.templates.get_api_v1_email_templates_key").sync("onboarding_welcome", client=client)
        assert isinstance(shown, models.TemplateAnswer)
        assert "template.mjml" in shown.files.additional_properties
        body = models.SuppressionRequest(address="gone@example.com")
        add = generated("api.suppressions.post_api_v1_email_suppressions")
        first, second = (add.sync_detailed(client=client, body=body) for _ in range(2))
        assert (first.status_code, second.status_code, second.parsed.id) == (201, 200, first.parsed.id)
        found = generated("api.suppressions.get_api_v1_email_suppressions").sync(client=client, lifted=True, limit=5)
        assert [item.address for item in found.items] == ["gone@example.com"]


def test_generated_client_gets_problem_details_when_a_request_is_refused(service: Running, generated: Any) -> None:
    models, send = generated("models"), generated("api.send.post_api_v1_email_send")
    body = models.SendRequest(to="nobody", template_key="onboarding_welcome")
    with client_of(service, generated) as client:
        refused = send.sync_detailed(client=client, body=body)
        assert refused.status_code == 422
        assert isinstance(refused.parsed, models.ProblemDetails)
        assert {item.pointer for item in refused.parsed.errors} >= {"/to"}
    with client_of(service, generated, token="nobody") as client:
        assert send.sync(client=client, body=body).status == 401
