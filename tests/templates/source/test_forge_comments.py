"""One comment of a pull request is kept up to date, and no other is touched."""

from collections.abc import Iterator
from typing import Literal

import pytest

from service.errors import ForgeError, InvalidRequest, NotFound
from service.templates.source.forge_api import ForgeApi
from service.templates.source.forge_artifacts import ForgeArtifacts
from service.templates.source.forge_comments import MARKER, ForgeComments
from service.templates.source.forge_retry import TRIES
from tests.support.forge_api import Reply
from tests.support.forge_repository import BOT, ForgeRepository, forge_repository

HEAD = "81d0e77" + "0" * 33
STRANGER = (666, "stranger")
ME = (5, "mails-bot")
RATE_LIMIT = Reply(403, b"{}", {"x-ratelimit-remaining": "0", "retry-after": "7"})


class Pauses(list[float]):
    """A clock that does not wait."""

    def sleep(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture(params=["github", "gitlab"])
def forge(request: pytest.FixtureRequest) -> Iterator[ForgeRepository]:
    with forge_repository(request.param) as made:
        made.user = ME
        yield made


@pytest.fixture
def github() -> Iterator[ForgeRepository]:
    with forge_repository() as made:
        yield made


def comments(forge: ForgeRepository, pauses: Pauses | None = None) -> ForgeComments:
    api = ForgeApi(forge.kind, forge.api.url, lambda: "token", "GITHUB_API_URL")
    return ForgeComments(api, forge.repository, sleep=(pauses if pauses is not None else Pauses()).sleep)


def test_comment_is_created_then_updated_then_left_when_it_is_the_same(forge: ForgeRepository) -> None:
    kept = [comments(forge).keep(12, text) for text in ("one", "two", "two")]
    assert kept == ["created", "updated", "unchanged"]
    assert forge.bodies(12) == [f"{MARKER}\ntwo"]
    assert forge.methods == ["POST", "PATCH" if forge.kind == "github" else "PUT"]


def test_comment_of_somebody_else_is_not_edited_when_it_has_the_marker(forge: ForgeRepository) -> None:
    forge.add_comment(12, f"{MARKER}\nhello", STRANGER)
    forge.add_comment(12, f"look: {MARKER}", ME)
    forge.add_comment(12, "other", ME)
    comments(forge).keep(12, "one")
    comments(forge).keep(12, "two")
    assert forge.bodies(12) == [f"{MARKER}\nhello", f"look: {MARKER}", "other", f"{MARKER}\ntwo"]


def test_comment_is_found_when_it_stands_behind_hundreds(forge: ForgeRepository) -> None:
    for number in range(130):
        forge.add_comment(12, f"{number}", STRANGER)
    assert [comments(forge).keep(12, text) for text in ("one", "two")] == ["created", "updated"]


@pytest.mark.parametrize("name", [BOT, "mails-app[bot]"])
def test_comment_of_a_bot_is_found_by_its_name_when_the_token_may_not_ask_for_it(
    github: ForgeRepository, name: str
) -> None:
    github.add_comment(12, f"{MARKER}\n", STRANGER)
    github.add_comment(12, f"{MARKER}\n", (9, name))
    api = ForgeApi("github", github.api.url, lambda: "token", "GITHUB_API_URL")
    assert ForgeComments(api, github.repository, name).keep(12, "one") == "updated"
    assert github.bodies(12) == [f"{MARKER}\n", f"{MARKER}\none"]


@pytest.mark.parametrize(
    ("fault", "pauses"),
    [(Reply(500), [2.0]), (Reply(503, b"", {"retry-after": "20"}), [20.0]), (RATE_LIMIT, [7.0]),
     (Reply(429, b"", {"retry-after": "9999"}), [60.0]), (Reply(429, b"", {"retry-after": "Fri, 1 Jan"}), [2.0]),
     (Reply(200, b"<html>"), [2.0])],
)  # fmt: skip
def test_comment_is_written_after_a_pause_when_the_forge_is_busy(
    forge: ForgeRepository, fault: Reply, pauses: list[float]
) -> None:
    forge.faults = [fault]
    made = Pauses()
    assert comments(forge, made).keep(12, "one") == "created"
    assert made == pauses


def test_comment_is_there_once_when_the_answer_to_its_creation_was_lost(forge: ForgeRepository) -> None:
    # The its answer is an error of the proxy before the forge.
    forge.api.answer = lambda posted: Reply(502) if forge.answer(posted).code == 201 else forge.answer(posted)
    assert comments(forge).keep(12, "one") == "unchanged"
    assert forge.bodies(12) == [f"{MARKER}\none"]


@pytest.mark.parametrize("code", [400, 401, 404, 410, 422, 301, 418])
def test_refusal_is_final_and_one_sentence_when_it_will_stay_the_same(forge: ForgeRepository, code: int) -> None:
    forge.faults = [Reply(200, b'{"id": 5}'), Reply(code, b"<b>secret</b>")]
    with pytest.raises(ForgeError, match=f"answers {code}") as error:
        comments(forge).keep(12, "one")
    assert error.value.is_lasting
    assert "secret" not in str(error.value)
    assert len(forge.api.requests) == 2


def test_refusal_ends_after_a_bounded_number_of_tries(forge: ForgeRepository) -> None:
    forge.faults = [Reply(503)] * 100
    pauses = Pauses()
    with pytest.raises(ForgeError, match="503"):
        comments(forge, pauses).keep(12, "one")
    assert len(forge.api.requests) == TRIES
    assert pauses == [2, 8, 32]


def test_pull_request_is_found_by_its_head_when_the_event_can_not_name_it(github: ForgeRepository) -> None:
    other = "f" * 40
    github.add_pull(12, HEAD)
    github.add_pull(13, other)
    github.add_pull(14, HEAD, repository="stranger/fork-of-a-fork")
    github.add_pull(15, HEAD, branch="other")
    found = comments(github).open_with_head(HEAD, "words", "Stranger/mails")
    assert [one.number for one in found] == [12]
    assert comments(github).open_with_head(other[:-1] + "e", "words", "stranger/mails") == []


@pytest.mark.parametrize("is_zip", [True, False])
def test_artifact_is_read_without_the_token_where_it_is_stored(github: ForgeRepository, is_zip: bool) -> None:
    github.add_artifact("mails", b"old")
    github.add_artifact("mails", b"{}", is_zip=is_zip)
    github.add_artifact("other", b"other")
    assert artifact(github) == b"{}"
    assert "authorization" not in github.api.requests[-1].headers


def artifact(github: ForgeRepository, max_bytes: int = 1_000) -> bytes:
    api = ForgeApi("github", github.api.url, lambda: "token", "GITHUB_API_URL")
    read: bytes = ForgeArtifacts(api, github.repository, Pauses().sleep).read(
        7, "mails", "report.json", max_bytes=max_bytes
    )
    return read


@pytest.mark.parametrize("wrong", ["none", "expired", "too large", "bomb", "other file", "no zip", "encrypted"])
def test_artifact_is_refused_when_it_is_not_one_small_file(
    github: ForgeRepository, wrong: Literal["none", "expired", "too large", "bomb", "other file", "no zip", "encrypted"]
) -> None:
    if wrong != "none":
        github.add_artifact("mails", b"0" * 9_000_000 if wrong == "bomb" else b"{}",
                            file="../report.json" if wrong == "other file" else "report.json")  # fmt: skip
        github.artifacts[0]["expired"] = wrong == "expired"
        github.artifacts[0]["size_in_bytes"] = 10**12 if wrong == "too large" else 100
        if wrong == "no zip":
            github.data[1] = github.data[1][:40]
        if wrong == "encrypted":
            github.data[1] = b"".join((github.data[1][:6], b"\x01", github.data[1][7:])).replace(
                b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
            )
    if wrong == "bomb":
        assert len(artifact(github)) == 1_001
    else:
        with pytest.raises((InvalidRequest, NotFound), match="artifact"):
            artifact(github)


def test_artifact_that_is_torn_is_downloaded_again(github: ForgeRepository) -> None:
    github.add_artifact("mails", b"{}")
    whole = github.answer
    torn = [Reply(200, b"PK", {"Content-Length": "2"}), Reply(500)]
    github.api.answer = lambda one: torn.pop() if "stored" in one.path and torn[1:] else whole(one)
    assert artifact(github) == b"{}"
