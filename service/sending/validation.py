"""Validation of send requests: recipients, addresses and attachments; reports every mistake with its JSON pointer."""

from collections.abc import Iterator, Sequence

from service.config.settings import Settings
from service.errors import Problem, TooLarge, pointer
from service.mail import addresses, attachments
from service.mail.addresses import Address
from service.models import Attachment, Role
from service.models.requests import MAX_RECIPIENTS, AttachmentRequest, MessageRequest
from service.templates.template import Template


def check_recipients(request: MessageRequest, problems: list[Problem]) -> list[tuple[Role, Address]]:
    """Parse the addresses of `to`, `cc` and `bcc`, each once, in this order; mistakes go to `problems`."""
    found: dict[str, tuple[Role, Address]] = {}
    total = 0
    for role, given in ((Role.TO, request.to), (Role.CC, request.cc), (Role.BCC, request.bcc)):
        single = isinstance(given, str)
        spellings = addresses.split_list(given or [])
        total += len(spellings)
        if role is Role.TO and not spellings:
            problems.append(Problem("/to", "missing", "at least one address is needed"))
        if total > MAX_RECIPIENTS:
            message = f"at most {MAX_RECIPIENTS} addresses in one request, cc and bcc among them"
            problems.append(Problem(pointer(role), "too_many", message))
            return []
        for index, spelling in enumerate(spellings):
            place = pointer(role) if single else pointer(role, index)
            if address := check_address(spelling, place, problems):
                found.setdefault(address.normalised, (role, address))
    return list(found.values())


def check_address(spelling: str, place: str, problems: list[Problem]) -> Address | None:
    """Parse an address; a mistake goes to `problems`, and None is returned."""
    try:
        return addresses.parse(spelling)
    except ValueError as error:
        problems.append(Problem(place, "address", str(error)))
        return None


def check_attachments(
    given: Sequence[AttachmentRequest],
    template: Template,
    settings: Settings,
    problems: list[Problem],
    *,
    required: bool,
) -> list[Attachment]:
    """Decode the attachments of a request; mistakes go to `problems`. Raises TooLarge for their total size."""
    policy = template.manifest.attachments
    if given and not policy.allowed:
        problems.append(Problem("/attachments", "not_allowed", f"the template {template.key!r} takes no attachments"))
        return []
    if required:
        problems += _missing(policy.required, given, policy.types)
    allowed = [kind for kind in settings.email_allowed_attachment_types if not policy.types or kind in policy.types]
    files: list[Attachment] = []
    for index, item in enumerate(given):
        try:
            data = attachments.decode_base64(item.data_base64)
        except ValueError as error:
            problems.append(Problem(pointer("attachments", index, "data_base64"), "base64", str(error)))
            continue
        for field_name, code, message in attachments.check(item.filename, item.content_type, data, allowed=allowed):
            problems.append(Problem(pointer("attachments", index, field_name), code, message))
        files.append(attachments.build(item.filename, item.content_type, data))
    if sum(file.size_bytes for file in files) > settings.max_attachments_bytes:
        limit = settings.email_max_attachment_size_mb
        problem = Problem("/attachments", "too_large", f"together more than {limit} MiB")
        raise TooLarge(f"The attachments are together larger than {limit} MiB.", [problem])
    return files


def _missing(
    required: bool | Sequence[str], given: Sequence[AttachmentRequest], types: Sequence[str]
) -> Iterator[Problem]:
    """Yield the attachments that the template requires and the request lacks."""
    present = {attachments.kind_of(item.filename) for item in given}
    if required is True and not given:
        yield Problem("/attachments", "required", f"this template needs {' or '.join(types) or 'a file'}")
    for kind in required if not isinstance(required, bool) else ():
        if kind not in present:
            yield Problem("/attachments", "required", f"this template needs a file of the type {kind}")
