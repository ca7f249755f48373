"""Every mail of this repository: template x language x example, found by file names; nothing is compiled."""

from service.templates.snapshots.expected_mails import expected_mails
from service.templates.source.files import read_files
from tests.support.paths import TEMPLATES

_FILES = read_files(TEMPLATES)
MAILS = [mail for key in _FILES.template_keys() for mail in expected_mails(_FILES, key)]
