"""URLs of the database and the queue show no password, wherever they are printed."""

import pytest
from click.testing import CliRunner

from service.cli.main import main
from service.config.secret_url import SecretUrl
from service.config.settings import Settings
from service.delivery.queue import open_queue
from service.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hunter2@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgres://u:hunter2@h1:1,h2:2/db?sslmode=require", "postgres://u:***@h1:1,h2:2/db?sslmode=require"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("postgresql://h/db?user=u&password=hunter2", "postgresql://h/db?user=u&password=***"),
        ("postgresql://h?PassWord=hunter2&hunter2", "postgresql://h?PassWord=***&***"),
        ("postgresql://h?PassWord=hunter2@x", "postgresql://***"),
        ("postgresql:///db?host=/run/pg&passfile=/x/hunter2", "postgresql:///db?host=/run/pg&passfile=***"),
        ("postgresql://u:hunt?er2@h/db", "postgresql://***"),
        ("postgresql://u:hunt#er2@h/db", "postgresql://***"),
        ("postgresql://u:hunt:er2@h/db", "postgresql://u:***@h/db"),
        ("redis://:hunter2@h:6379/0", "redis://:***@h:6379/0"),
        ("redis://:hunt@er2@h:6379/0", "redis://:***@h:6379/0"),
        ("rediss://h/0?password=hunter2&ssl_cert_reqs=none", "rediss://h/0?password=***&ssl_cert_reqs=none"),
        ("valkey://valkey/0", "valkey://valkey/0"),
        ("sqlite:////var/lib/rgz?email.db", "sqlite:////var/lib/rgz?email.db"),
        ("hunter2", "://***"),
    ],
)
def test_secret_url_shows_all_but_its_secrets(url: str, shown: str) -> None:
    secret = SecretUrl(url)
    assert str(secret) == shown
    assert "hunt" not in repr(secret)
    assert "er2" not in repr(secret)
    assert secret.get_secret_value() == url


@pytest.mark.parametrize(
    "url", ["postgresql://u:hun/ter2@h/db", "postgresql://u:hun@ter2@h/db", "redis://:hun/ter2@h/0", "valkey://:a/b@h"]
)
def test_url_whose_password_a_driver_reads_otherwise_is_refused_without_naming_it(url: str) -> None:
    name = "database_url" if url.startswith("postgres") else "queue_url"
    done = CliRunner().invoke(main, ["config"], env={name.upper(): url})
    assert done.exit_code == 2
    assert f"{name.upper()}: percent-encode" in done.output
    assert "ter2" not in done.output


def test_error_of_a_driver_is_shown_without_the_password() -> None:
    url = SecretUrl("postgresql://u:hun%40ter2@h/db?sslpassword=x%2Fyz")
    told = url.scrubbed('FATAL: "hun@ter2", "hun%40ter2", "x/yz", "x%2Fyz" at h')
    assert told == 'FATAL: "***", "***", "***", "***" at h'
    assert "hunt" not in SecretUrl("redis://:hunt?er2@h/0").scrubbed("Port could not be cast: 'hunt'")
    assert SecretUrl("sqlite:////x.db").scrubbed("unable to open /x.db") == "unable to open /x.db"


@pytest.mark.parametrize(
    "url", ["redis://:hunter2@127.0.0.1:1/0", "redis://:hunt?er2@127.0.0.1:1/0", "postgresql://u:hunter2@127.0.0.1:1/x"]
)
def test_queue_that_cannot_be_opened_does_not_show_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_queue(url)
    assert "QUEUE_URL: the " in str(caught.value)
    assert "hunt" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_settings_show_no_password_in_any_form() -> None:
    settings = Settings().with_changes(
        database_url="postgresql://u:hunter2@h/db",
        queue_url="redis://:hunter2@h/0",
        smtp_password="hunter2",
        email_inbox_password="hunter2",
        email_admin_token="hunter2",
        email_secret_key="hunter2",
        email_secret_key_previous="hunter2",
    )
    for text in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert "hunter2" not in text
    assert settings.with_changes() == settings
    environment = {
        "DATABASE_URL": "postgresql://u:hunter2@h/db",
        "QUEUE_URL": "redis://:hunter2@h/0",
        "SMTP_PASSWORD": "hunter2",
    }
    for command in (["config"], ["config", "--json"]):
        done = CliRunner().invoke(main, command, env=environment)
        assert done.exit_code == 0, done.output
        assert "hunter2" not in done.output
        assert "postgresql://u:***@h/db" in done.output
