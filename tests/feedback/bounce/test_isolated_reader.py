"""Reading in child processes: the same value as in this process, and a failure of that mail alone."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from service.errors import ChildFailed
from service.feedback.bounce import isolated_reader
from service.feedback.bounce.returned_mail import read_returned_mail
from service.isolation.child_processes import ChildProcesses
from tests.support.returned_mails import report


class BabblingChildren(ChildProcesses):
    """A child process that was taken over and answers what it wants."""

    def run(self, function: str, *arguments: Any, **options: Any) -> bytes:
        return b'{"return_paths": [1], "report": "\xff'


@pytest.fixture(scope="module")
def children() -> Iterator[ChildProcesses]:
    with closing(ChildProcesses([isolated_reader.MODULE])) as started:
        yield started


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\xfe\x00", b"Subject: \xed\xa0\x80\n\n" + b"x" * 100_000, report("bounces+a@rgz.bj")]
)
def test_isolated_reader_returns_what_the_reader_returns(children: ChildProcesses, raw: bytes) -> None:
    assert isolated_reader.isolated_reader(children)(raw) == read_returned_mail(raw)


def test_isolated_reader_refuses_an_answer_that_is_no_returned_mail() -> None:
    with pytest.raises(ChildFailed):
        isolated_reader.isolated_reader(BabblingChildren([]))(b"")
