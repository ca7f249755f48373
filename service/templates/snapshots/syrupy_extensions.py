"""Extensions of syrupy, which find, compare and write the snapshots of mails; the only module that imports it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from syrupy.data import SnapshotCollections
from syrupy.extensions.single_file import SingleFileSnapshotExtension
from syrupy.location import PyTestLocation
from syrupy.types import SerializedData, SnapshotIndex
from typing_extensions import override

from service.templates.mails import Mail
from service.templates.snapshots.compare import is_same
from service.templates.snapshots.readable_diff import differences, shortened

#: Lines that are printed of one file that differs.
_MAX_LINES = 60


class MailSnapshotExtension(SingleFileSnapshotExtension):
    """One file of a mail, `snapshots/KEY/LOCALE.EXAMPLE.ENDING`, byte for byte."""

    # Syrupy asks these of every test, those of no mail too, and in another process of stand-ins of tests.

    @classmethod
    @override
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        """The folder of the template's snapshots."""
        folder: Path | None = getattr(test_location.item, "folder", None)
        return str(folder) if folder is not None else super().dirname(test_location=test_location)

    @classmethod
    @override
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: SnapshotIndex = 0) -> str:
        """The mail's name."""
        mail: Mail | None = getattr(test_location.item, "mail", None)
        return mail.name if mail is not None else super().get_snapshot_name(test_location=test_location, index=index)

    @classmethod
    @override
    def matches_test_location(cls, *, test_location: PyTestLocation, snapshot_location: str) -> bool:
        """Whether the file is this test's."""
        is_mail = hasattr(test_location.item, "mail")
        return is_mail and snapshot_location == cls.get_location(test_location=test_location, index=0)

    @override
    def owns_snapshot_collection(self, *, filepath: str, test_location: PyTestLocation) -> bool:
        """Whether the file is this test's, and no file of another kind of snapshot."""
        return self.matches_test_location(test_location=test_location, snapshot_location=filepath)

    @override
    def discover_snapshots(self, **_: Any) -> SnapshotCollections:
        """Nothing: snapshots without a mail are tests of their own, and syrupy would look for tests in `tests/`."""
        return SnapshotCollections()

    @override
    def matches(self, *, serialized_data: SerializedData, snapshot_data: SerializedData) -> bool:
        """Whether both are the same, whatever line ends git has checked out."""
        return is_same(snapshot_data, serialized_data)

    @override
    def diff_lines(self, serialized_data: SerializedData, snapshot_data: SerializedData) -> Iterator[str]:
        """The words that changed."""
        old, new = (
            one.decode("utf-8", "backslashreplace") if isinstance(one, bytes) else one
            for one in (snapshot_data, serialized_data)
        )
        yield from shortened(differences(old, new), _MAX_LINES)


class HtmlSnapshotExtension(MailSnapshotExtension):
    """The HTML part."""

    file_extension = "html"


class TextSnapshotExtension(MailSnapshotExtension):
    """The text part."""

    file_extension = "txt"


class HeadersSnapshotExtension(MailSnapshotExtension):
    """What the mail says beside its parts."""

    file_extension = "headers"


#: One for each file of a mail, in the order of `compare.ENDINGS`.
EXTENSIONS = (HtmlSnapshotExtension, TextSnapshotExtension, HeadersSnapshotExtension)
