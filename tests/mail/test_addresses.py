"""E-mail addresses: which are accepted, and when two spellings are one mailbox."""

import hashlib
import hmac

import email_validator
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.mail import addresses
from service.mail.addresses import AddressInvalid


@pytest.mark.parametrize(
    ("text", "wire", "normalised"),
    [
        ("reseller@techconnect.bj", "reseller@techconnect.bj", "reseller@techconnect.bj"),
        (" Reseller.Nord+billing@TechConnect.BJ\t", "Reseller.Nord+billing@techconnect.bj", None),
        ("a@x.test", "a@x.test", "a@x.test"),
        ("a@localhost", "a@localhost", "a@localhost"),
        ("a@mail.local", "a@mail.local", "a@mail.local"),
        ("!#$%&'*+-/?=^_`{|}~@example.com", "!#$%&'*+-/?=^_`{|}~@example.com", None),
        ("info@exämple.test", "info@xn--exmple-cua.test", "info@xn--exmple-cua.test"),
        ("INFO@XN--EXMPLE-CUA.test", "INFO@xn--exmple-cua.test", "info@xn--exmple-cua.test"),
        ("Éric@exämple.test", "Éric@xn--exmple-cua.test", "éric@xn--exmple-cua.test"),
        ("x" * 64 + "@a.test", "x" * 64 + "@a.test", None),
    ],
)
def test_parse_takes_an_address(text: str, wire: str, normalised: str | None) -> None:
    address = addresses.parse(text)
    assert address.wire == wire
    assert address.normalised == (normalised or wire.lower())
    assert address.spelling == text.strip()
    assert address.needs_smtputf8 is not address.local.isascii()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "@",
        "a",
        "a@",
        "@x.test",
        "a@b@c.test",
        "a b@c.test",
        "a@c .test",
        "a\r\nBcc: b@c.test",
        "a@c.test\n",
        "a\n@c.test",
        "a\0@c.test",
        "a\x7f@c.test",
        "a\u2028@c.test",
        "a\u202e@c.test",
        "a\u200b@c.test",
        "a\ud800@c.test",
        "a@intranet",
        "a@x..test",
        "a@-x.test",
        "a@x_y.test",
        "a@x.test.",
        ".a@x.test",
        "a.@x.test",
        "a..b@x.test",
        '"a b"@x.test',
        '"a"@x.test',
        "a@[192.0.2.1]",
        "a@[IPv6:::1]",
        "<a@x.test>",
        "Name <a@x.test>",
        "a@x.test,b@x.test",
        "a(comment)@x.test",
        "=?utf-8?q?x?=@x.test",
        "x" * 65 + "@a.test",
        "é" * 33 + "@a.test",
        "a@" + ".".join(["b" * 63] * 4),
        "a@" + "b" * 64 + ".test",
        "a@" + ".".join(["b" * 50] * 5) + ".test",
        "a@xn--\u00e9.test",
    ],
)
def test_parse_refuses_what_is_none(text: str) -> None:
    with pytest.raises(AddressInvalid) as refused:
        addresses.parse(text)
    assert len(str(refused.value)) > 10
    assert str(refused.value).isprintable()


@given(text=st.one_of(st.text(max_size=80), st.text(st.sampled_from("ab.-_+@A0é\n <>=?"), max_size=40)))
def test_parse_takes_only_what_can_stand_in_a_header_and_an_envelope(text: str) -> None:
    try:
        address = addresses.parse(text)
    except AddressInvalid:
        return
    assert address.wire.isprintable()
    assert not set(address.wire) & set(' <>,;:"()[]\\')
    assert address.wire.count("@") == 1
    assert len(address.local.encode()) <= 64
    assert addresses.parse(address.wire).normalised == address.normalised
    assert addresses.parse(address.spelling).normalised == address.normalised
    assert addresses.parse(address.normalised).normalised == address.normalised


@given(text=st.text(st.sampled_from("aB3.-_+@"), max_size=30))
def test_parse_agrees_with_the_library_where_it_takes_the_fast_path(text: str) -> None:
    """Ordinary addresses are not given to the library; it would have said the same."""
    try:
        found = email_validator.validate_email(text, check_deliverability=False, globally_deliverable=False)
    except email_validator.EmailNotValidError:
        with pytest.raises(AddressInvalid):
            addresses.parse(text)
        return
    assume("." in found.domain)
    assert addresses.parse(text).wire == f"{found.local_part}@{found.ascii_domain.lower()}"


def test_split_list_gives_each_address_of_a_text_or_a_list() -> None:
    assert addresses.split_list("a@x.test, b@y.test,c@z.test ,") == ["a@x.test", "b@y.test", "c@z.test"]
    assert addresses.split_list(["a@x.test ", "", "b@y.test"]) == ["a@x.test", "", "b@y.test"]
    assert addresses.split_list("") == []
    assert addresses.split_list([]) == []


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("noreply@rgz.bj", "", "noreply@rgz.bj"),
        ("<noreply@rgz.bj>", "", "noreply@rgz.bj"),
        ("RGZ Notifications <noreply@rgz.bj>", "RGZ Notifications", "noreply@rgz.bj"),
        ('"RGZ, \\"Nord\\"" <noreply@rgz.bj>', 'RGZ, "Nord"', "noreply@rgz.bj"),
        ("Équipe RGZ <noreply@rgz.bj>", "Équipe RGZ", "noreply@rgz.bj"),
        ("Support, RGZ <noreply@rgz.bj>", "Support, RGZ", "noreply@rgz.bj"),
    ],
)
def test_parse_header_reads_name_and_address(text: str, name: str, address: str) -> None:
    found = addresses.parse_header(text)
    assert (found.name, found.address.wire) == (name, address)


@pytest.mark.parametrize(
    "text", ["", "Name", "Name <>", "Name <a@b", "a@b.test>", "N\r\nBcc: x <a@b.test>", "N <a@b.test> <c@d.test>x"]
)
def test_parse_header_refuses_what_is_none(text: str) -> None:
    with pytest.raises(AddressInvalid):
        addresses.parse_header(text)


@given(
    name=st.one_of(
        st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=40),
        st.text('"\\é ,<>a', max_size=10),
    ).map(str.strip)
)
def test_parse_header_reads_what_header_writes(name: str) -> None:
    assert addresses.parse_header(addresses.header(name, "a@b.test")).name == name


def test_pseudonym_depends_on_the_key_and_the_mailbox_alone() -> None:
    one = addresses.pseudonym(addresses.parse("Info@exämple.test").normalised, key=b"k")
    assert one == addresses.pseudonym(addresses.parse("info@XN--EXMPLE-CUA.TEST").normalised, key=b"k")
    assert one != addresses.pseudonym(addresses.parse("info@exämple.test").normalised, key=b"l")
    assert one == hmac.new(b"k", b"info@xn--exmple-cua.test", hashlib.sha256).hexdigest()


@pytest.mark.parametrize(("one", "other"), [("groß", "gross"), ("ﬁ", "fi"), ("ſam", "sam"), ("ŉa", "na"), ("İ", "i")])
def test_letters_that_differ_by_more_than_their_case_are_two_mailboxes(one: str, other: str) -> None:
    assert addresses.parse(f"{one}@example.net").normalised != addresses.parse(f"{other}@example.net").normalised


@pytest.mark.parametrize(
    ("one", "other"), [("ÉLAN", "élan"), ("e\u0301lan", "élan"), ("Jean", "jean"), ("ЮРИЙ", "юрий")]
)
def test_letters_that_differ_by_case_or_composition_are_one_mailbox(one: str, other: str) -> None:
    assert addresses.parse(f"{one}@example.net").normalised == addresses.parse(f"{other}@Example.NET").normalised
