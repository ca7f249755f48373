"""The rule of an environment about recipients: what it parses, and where a message goes."""

import pytest

from service.mail.recipient_rule import EVERYONE, RecipientRule

A_MAILBOX = "zoé@example.com"


@pytest.mark.parametrize(
    ("text", "recipient", "to"),
    [
        ("everyone", "a@x.com", "a@x.com"),
        ("Everyone", "a@x.com", "a@x.com"),
        ("only:@rgz.bj,ops@x.com", "Ada@RGZ.bj", "Ada@RGZ.bj"),
        ("only: @RGZ.BJ , OPS@x.com", "ops@X.com", "ops@X.com"),
        ("only:@rgz.bj,ops@x.com", "other@x.com", None),
        ("only:@rgz.bj", "a@sub.rgz.bj", None),
        ("only:@rgz.bj", "a@rgz.bj.evil.com", None),
        ("only:@rgz.bj", "rgz.bj@evil.com", None),
        ("only:@bücher.example", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("only:@xn--bcher-kva.example", "a@BÜCHER.example", "a@BÜCHER.example"),
        ("only:ZOÉ@example.com", A_MAILBOX, A_MAILBOX),
        ("only:gross@example.com", "groß@example.com", None),
        ("redirect:team@rgz.bj", "a@x.com", "team@rgz.bj"),
        ("redirect:team@rgz.bj", "TEAM@rgz.bj", "TEAM@rgz.bj"),
        ("redirect:Team@RGZ.bj", "a@x.com", "team@rgz.bj"),
    ],
)
def test_rule_says_where_a_message_goes(text: str, recipient: str, to: str | None) -> None:
    assert RecipientRule.parse(text).destination(recipient, None) == to


@pytest.mark.parametrize(
    "text",
    ["", "only", "only:", "only:,", "everyone:x", "everyone@x.com", "only:rgz.bj", "only:@", "only:@localhost,@-x.bj",
     "redirect", "redirect:", "redirect:@rgz.bj", "redirect:a@x.com,b@x.com", "redirect:nobody", "nobody"],
)  # fmt: skip
def test_rule_that_can_not_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        RecipientRule.parse(text)


@pytest.mark.parametrize(
    ("text", "before", "to"),
    [
        ("everyone", "team@rgz.bj", "team@rgz.bj"),
        ("everyone", "", None),
        ("only:@rgz.bj", "team@rgz.bj", "team@rgz.bj"),
        ("only:@x.com", "team@rgz.bj", None),
        ("only:@x.com", "", None),
        ("redirect:new@rgz.bj", "team@rgz.bj", "new@rgz.bj"),
        ("redirect:new@rgz.bj", "", "new@rgz.bj"),
        ("redirect:a@x.com", "team@rgz.bj", "a@x.com"),
    ],
)
def test_rule_never_sends_a_redirected_message_to_its_recipient(text: str, before: str, to: str | None) -> None:
    assert RecipientRule.parse(text).destination("a@x.com", before) == to


def test_rule_of_production_is_everyone() -> None:
    assert RecipientRule.parse("everyone") == EVERYONE
    assert EVERYONE.is_everyone
