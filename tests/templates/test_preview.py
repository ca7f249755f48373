"""Previews of whole mails."""

import email
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.config.settings import Settings
from service.templates.directory_catalogue import DirectoryCatalogue
from service.templates.preview import Previewer
from tests.support.template_kit import COMPILER, front_matter, text


@pytest.mark.parametrize(
    ("sender", "domain"),
    [("noreply@bücher.example", "xn--bcher-kva.example"), ("NoReply@RGZ.bj", "rgz.bj"), ("é@rgz.bj", "rgz.bj")],
)
def test_preview_of_a_mail_has_the_sending_domain_in_ascii(tmp_path: Path, sender: str, domain: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "template.mjml").write_text(front_matter() + text("{{ name }}"), encoding="utf-8")
    catalogue = DirectoryCatalogue(tmp_path, compiler=COMPILER)
    catalogue.load()
    previewer = Previewer(catalogue, Settings(smtp_from_email=sender))
    mail = email.message_from_bytes(previewer.eml(previewer.render("a"), now=datetime(2026, 1, 1, tzinfo=UTC)))
    assert mail["Message-ID"] == f"<preview@{domain}>"
