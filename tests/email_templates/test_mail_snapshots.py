"""Every mail, byte for byte as it is sent: `snapshots/<key>/<locale>.<example>.{html,txt,headers}`.

`./scripts/test -k snapshot` compares, `./scripts/test -k snapshot --snapshot-update` takes what is rendered now.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from syrupy.location import PyTestLocation
from syrupy.types import SerializedData, SnapshotIndex

from service.models import Rendered
from service.templates.catalogue import Snapshot
from service.templates.template import Template
from tests.support.every_mail import MAILS, Mail
from tests.support.mail_diff import differences
from tests.support.paths import SNAPSHOTS

#: syrupy would like the name of the test in the name of each file; ours are named for the mail.
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*Can not relate snapshot name")


class MailSnapshot(SingleFileSnapshotExtension):
    """One part of a mail in a file of its own, at the top level of the repository."""

    _write_mode = WriteMode.TEXT

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return str(SNAPSHOTS / mail_of(test_location).key)

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: SnapshotIndex = 0) -> str:
        mail = mail_of(test_location)
        return f"{mail.locale}.{mail.example}"

    # The three below are asked of every test there is, those without a snapshot too.

    @classmethod
    def discovery_dirname(cls, *, test_location: PyTestLocation) -> str:
        return str(SNAPSHOTS)

    @classmethod
    def matches_test_location(cls, *, test_location: PyTestLocation, snapshot_location: str) -> bool:
        if "snapshot" not in getattr(test_location.item, "fixturenames", ()):
            return False
        return Path(snapshot_location) == Path(cls.get_location(test_location=test_location, index=0))

    def owns_snapshot_collection(self, *, filepath: str, test_location: PyTestLocation) -> bool:
        return self.matches_test_location(test_location=test_location, snapshot_location=filepath)

    def diff_lines(self, serialized_data: SerializedData, snapshot_data: SerializedData) -> Iterator[str]:
        yield from differences(str(snapshot_data), str(serialized_data))


def mail_of(test_location: PyTestLocation) -> Mail:
    mail = test_location.item.callspec.params["mail"]  # type: ignore[attr-defined]  # pytest.Function has it
    assert isinstance(mail, Mail)
    return mail


class Html(MailSnapshot):
    file_extension = "html"


class Text(MailSnapshot):
    file_extension = "txt"


class Headers(MailSnapshot):
    file_extension = "headers"


@pytest.mark.parametrize("mail", MAILS, ids=str)
def test_snapshot_of_the_html_part(mail: Mail, render: Callable[[Mail], Rendered], snapshot: SnapshotAssertion) -> None:
    compare(render(mail).html, snapshot.use_extension(Html))


@pytest.mark.parametrize("mail", MAILS, ids=str)
def test_snapshot_of_the_plain_text_part(
    mail: Mail, render: Callable[[Mail], Rendered], snapshot: SnapshotAssertion
) -> None:
    compare(render(mail).text, snapshot.use_extension(Text))


@pytest.mark.parametrize("mail", MAILS, ids=str)
def test_snapshot_of_the_headers_and_policy(
    mail: Mail, render: Callable[[Mail], Rendered], catalogue: Snapshot, snapshot: SnapshotAssertion
) -> None:
    compare(headers(catalogue.get(mail.key), render(mail)), snapshot.use_extension(Headers))


def compare(part: str, snapshot: SnapshotAssertion) -> None:
    """As `assert part == snapshot`, but pytest would cut its message short; here all that changed is printed."""
    if part != snapshot:
        how = "[-was-]{+is+}; to take what is rendered now: ./scripts/test -k snapshot --snapshot-update"
        pytest.fail("\n".join([how, *snapshot.get_assert_diff()]), pytrace=False)


def headers(template: Template, rendered: Rendered) -> str:
    """What a template says beside the two parts; `(settings)` where it leaves that to the operator."""
    manifest = template.manifest
    delivery, attachments = manifest.delivery, manifest.attachments
    required_types = ", ".join(attachments.required) if isinstance(attachments.required, tuple) else ""
    lines = {
        "Subject": rendered.subject,
        "From": rendered.from_header,
        "Reply-To": rendered.reply_to,
        "Content-Language": rendered.locale,
        **({"Copies": ", ".join(manifest.copies)} if manifest.copies else {}),
        "Category": manifest.category,
        "Stream": manifest.stream,
        "Version": manifest.version,
        "Active": "yes" if manifest.active else "no",
        "Priority": delivery.priority,
        "Attempts": delivery.attempts,
        "Wanted within": None if delivery.sla_s is None else f"{delivery.sla_s} s",
        "Expires after": None if delivery.expires_after_s is None else f"{delivery.expires_after_s} s",
        "Attachments": ", ".join(attachments.types) if attachments.allowed else "none",
        "Attachments required": required_types or ("one at least" if attachments.required else "none"),
    }
    return "".join(f"{name}: {'(settings)' if value is None else value}\n" for name, value in lines.items())


def test_snapshots_each_belong_to_a_mail() -> None:
    known = {
        SNAPSHOTS / mail.key / f"{mail.locale}.{mail.example}.{part}"
        for mail in MAILS
        for part in ("html", "txt", "headers")
    }
    orphans = {file for file in SNAPSHOTS.rglob("*") if file.is_file()} - known
    assert not orphans, "no template or example makes these snapshots; delete them: " + ", ".join(
        sorted(str(file.relative_to(SNAPSHOTS)) for file in orphans)
    )


def test_snapshots_cover_each_example_in_each_language(catalogue: Snapshot) -> None:
    assert MAILS
    compiled = {
        Mail(key, locale, example)
        for key in catalogue.entries
        for locale in catalogue.get(key).locales
        for example in catalogue.get(key).examples
    }
    assert set(MAILS) == compiled


@pytest.mark.parametrize("mail", MAILS, ids=str)
def test_snapshot_mail_has_plain_line_endings(mail: Mail, render: Callable[[Mail], Rendered]) -> None:
    # A text file can't tell \r\n from \n when it is read; so no mail may hold one.
    rendered = render(mail)
    assert "\r" not in rendered.html + rendered.text + rendered.subject


def test_snapshot_diff_shows_the_word_that_changed() -> None:
    old = '<td style="color:#34433b;padding:0;"><div>Votre facture est <b>prête</b>.</div></td>' * 3
    new = old.replace("facture", "note", 1)
    assert "! Votre [-facture-]{+note+} est" in list(differences(old, new))


def test_snapshot_diff_shows_what_was_added_and_removed() -> None:
    assert list(differences("<p>un</p><p>deux</p>", "<p>un</p>")) == ["  </p>", "- <p>", "- deux", "- </p>"]
    assert list(differences("<p>un</p>", "<p>un</p><hr>")) == ["  </p>", "+ <hr>"]


def test_snapshot_diff_tells_when_only_spaces_differ() -> None:
    (line,) = differences("a\n\nb", "a\nb")
    assert line == "  only spaces or line breaks differ, first at character 2"


def test_snapshot_diff_is_empty_for_equal_mails() -> None:
    assert list(differences("<p>un</p>", "<p>un</p>")) == []
