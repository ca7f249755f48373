"""Certificates that SNS really uses: those that have verified a notification, remembered over restarts."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

import structlog

from service.errors import NotVerified, StoreBusy
from service.feedback.sns.certificates import MAX_KNOWN
from service.feedback.sns.urls import CertificateUrl, certificate_url
from service.store import sns_certificates
from service.store.database import Database

_log = structlog.get_logger("sns")


@dataclass(frozen=True, slots=True)
class KnownCertificates:
    """The URLs of known certificates, in the database; both methods block."""

    database: Database
    clock: Callable[[], datetime]

    def read(self, regions: Collection[str]) -> list[CertificateUrl]:
        """The known URLs, the newest last; those in `regions`."""
        found = []
        for text in sns_certificates.newest(self.database, limit=MAX_KNOWN):
            try:
                found.append(certificate_url(text, regions=regions))
            except NotVerified:
                _log.info("certificate_forgotten", url=text)  # the region of a topic that is no longer allowed
        return found

    def note(self, url: CertificateUrl) -> None:
        """Remember a certificate that has verified a notification; with a busy database it is not remembered."""
        now = self.clock()
        try:
            self.database.write(lambda tx: sns_certificates.note(tx, url.text, now=now, keeps=MAX_KNOWN))
        except StoreBusy as error:
            _log.warning("store_busy", task="certificate", reason=str(error))
