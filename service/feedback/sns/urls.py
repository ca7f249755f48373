"""URLs of Amazon SNS: regions, hosts, and the only valid locations of a signing certificate."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from service.errors import NotVerified

#: The name of a region: AWS opens new ones all the time. Names of other services and of buckets, such as
#: s3-us-west-2, are none.
_REGION = r"[a-z]{2,5}(?:-[a-z]+){1,4}-[0-9]{1,2}"
#: Domains of AWS's partitions by how the names of their regions begin (botocore's partitions.json); others: commercial.
_DOMAINS = (
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isof-", "csp.hci.ic.gov"),
)
_CERTIFICATE_URL = re.compile(
    rf"https://(sns\.({_REGION})\.[a-z0-9.-]{{1,20}})(/SimpleNotificationService-[0-9a-f]{{32}}\.pem)"
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
    domain = next((domain for begin, domain in _DOMAINS if region.startswith(begin)), "amazonaws.com")
    return f"sns.{region}.{domain}"


def certificate_url(url: str, *, regions: Collection[str] | None = None) -> CertificateUrl:
    """Validate the URL of a signing certificate, which lies in the region of its topic; None: in any region.

    Raises NotVerified for any other location: look-alikes of other services and buckets
    (`sns.s3-us-west-2.amazonaws.com`), another port, user, query, fragment or spelling. `$` would let a line break
    through, a full match does not.
    """
    matched = _CERTIFICATE_URL.fullmatch(url)
    if not matched or matched[1] != host_of(matched[2]) or (regions is not None and matched[2] not in regions):
        raise NotVerified("SigningCertURL does not lie with Amazon SNS.")
    return CertificateUrl(matched[1], matched[3])
