"""Read returned mail in child processes: a mail that crashes or holds its reader fails alone."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from service.errors import ChildFailed
from service.feedback.bounce.returned_mail import ReturnedMail, read_returned_mail
from service.isolation.child_processes import ChildProcesses
from service.isolation.limits import TaskLimits

#: The module that a fork server loads for this.
MODULE = __name__
#: The longest mail that is read takes a second; this is ten times that.
_LIMITS = TaskLimits(deadline_s=60.0, cpu_s=10)


def isolated_reader(children: ChildProcesses) -> Callable[[bytes], ReturnedMail]:
    """Return `read_returned_mail` in a child process. It raises ChildFailed."""

    def read(raw: bytes) -> ReturnedMail:
        answer = children.run(f"{MODULE}:read_in_child", raw, limits=_LIMITS, is_urgent=True)
        try:
            return ReturnedMail.from_json(answer.decode("ascii"))
        except ValueError as error:
            raise ChildFailed("its answer can't be read") from error

    return read


@contextmanager
def reader_of_its_own() -> Iterator[Callable[[bytes], ReturnedMail]]:
    """A reader whose child processes end with the block, for a command that has no services."""
    with closing(ChildProcesses([MODULE])) as children:
        yield isolated_reader(children)


def read_in_child(raw: bytes) -> bytes:
    """Read a mail in this process, which is a child; returns JSON in ASCII."""
    return read_returned_mail(raw).as_json().encode("ascii")
