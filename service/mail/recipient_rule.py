"""The rule of an environment about recipients: mail to everyone, only to some, or all of it to one address."""

from dataclasses import dataclass

from service.mail import addresses
from service.mail.addresses import AddressInvalid

_HINT = "write everyone, only:@rgz.bj,ops@example.com or redirect:team@rgz.bj"


@dataclass(frozen=True, slots=True)
class RecipientRule:
    """`domains` and `mailboxes` may be written to, None: all may. With `target` all mail goes there. All normalised."""

    text: str = "everyone"
    domains: frozenset[str] | None = None
    mailboxes: frozenset[str] = frozenset()
    target: str | None = None

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> "RecipientRule":
        """Parse `everyone`, `only:@DOMAIN,ADDRESS` or `redirect:ADDRESS`. Raises ValueError with a sentence."""
        kind, _, rest = text.strip().partition(":")
        entries = [entry.strip() for entry in rest.split(",") if entry.strip()]
        match kind.strip().lower():
            case "everyone" if not rest.strip():
                return cls()
            case "only" if entries:
                domains = frozenset(_domain(entry) for entry in entries if entry.startswith("@"))
                mailboxes = frozenset(_mailbox(entry) for entry in entries if not entry.startswith("@"))
                return cls(f"only:{','.join(entries)}", domains, mailboxes)
            case "redirect" if len(entries) == 1:
                return cls(f"redirect:{entries[0]}", target=_mailbox(entries[0]))
            case "redirect" if entries:
                raise ValueError("redirect takes one address: redirect:team@rgz.bj")
        raise ValueError(_HINT)

    def refusal(self, environment: str) -> str:
        """The sentence that a message which is held back gets."""
        allowed = self.text.removeprefix("only:")
        return f"Held back: the environment {environment} writes to {allowed} only."

    @property
    def is_everyone(self) -> bool:
        """Whether the rule changes nothing by itself."""
        return self.domains is None and self.target is None

    def destination(self, recipient: str, redirected_to: str | None) -> str | None:
        """The address that a message is sent to, None where it must not be sent.

        `redirected_to` is the address that a rule has sent it to before, "" where that is forgotten: it never goes to
        its recipient again, even where the rule has changed.
        """
        if self.target is not None:
            return recipient if redirected_to is None and _normalised(recipient) == self.target else self.target
        wanted = recipient if redirected_to is None else redirected_to
        return wanted if wanted and self._allows(wanted) else None

    def _allows(self, address: str) -> bool:
        if self.domains is None:
            return True
        normalised = _normalised(address)
        return normalised in self.mailboxes or normalised.rpartition("@")[2] in self.domains


#: The rule of production.
EVERYONE = RecipientRule()


def _domain(entry: str) -> str:
    try:
        return addresses.parse(f"a{entry}").domain
    except AddressInvalid as error:
        raise ValueError(f"{entry!r} is no domain: {error}") from None


def _mailbox(entry: str) -> str:
    try:
        return addresses.parse(entry).normalised
    except AddressInvalid as error:
        raise ValueError(f"{entry!r} is no address: {error}") from None


def _normalised(address: str) -> str:
    return addresses.parse(address).normalised
