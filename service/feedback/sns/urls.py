"""URLs of Amazon SNS: regions, hosts, and the only valid locations of a signing certificate."""

import re
from dataclasses import dataclass

from service.errors import NotVerified

#: Regions as of November 2026; those of the allowed topics are known as well.
_REGIONS = frozenset(
    region
    for line in (
        "af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2",
        "ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7",
        "ca-central-1 ca-west-1 cn-north-1 cn-northwest-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2",
        "eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2",
        "us-gov-east-1 us-gov-west-1 us-west-1 us-west-2",
    )
    for region in line.split()
)
_CERTIFICATE_URL = re.compile(
    r"https://(sns\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?)(/SimpleNotificationService-[0-9a-f]{32}\.pem)"
)


@dataclass(frozen=True, slots=True)
class CertificateUrl:
    """Location of a certificate file on a host of SNS."""

    host: str
    path: str

    @property
    def text(self) -> str:
        """The URL."""
        return f"https://{self.host}{self.path}"


def region_of(topic_arn: str) -> str:
    """Return the region of a topic (arn:aws:sns:REGION:ACCOUNT:NAME)."""
    return topic_arn.split(":")[3]


def host_of(region: str) -> str:
    """Return SNS's host in a region."""
    return f"sns.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def certificate_url(url: str, *, regions: frozenset[str] = frozenset()) -> CertificateUrl:
    """Validate the URL of a signing certificate; `regions` are allowed besides those of AWS today.

    Raises NotVerified for any other location: look-alikes of other services and buckets
    (`sns.s3-us-west-2.amazonaws.com`), another port, user, query, fragment or spelling. `$` would let a line break
    through, a full match does not.
    """
    matched = _CERTIFICATE_URL.fullmatch(url)
    if not matched or matched[2] not in _REGIONS | regions or matched[1] != host_of(matched[2]):
        raise NotVerified("SigningCertURL does not lie with Amazon SNS.")
    return CertificateUrl(matched[1], matched[3])
