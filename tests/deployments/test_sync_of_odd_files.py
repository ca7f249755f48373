"""Entries of a commit that are not read, such as links: no template is lost by them."""

import pytest

from tests.support.following import Following


@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "folder"])
def test_sync_keeps_a_template_when_a_link_took_its_place(following: Following, is_folder: bool) -> None:
    following.sync()
    before = following.revision("hello")
    mails = following.repository.clone.mails
    if is_folder:
        (mails / "hello").rename(mails / "_elsewhere")
        (mails / "hello").symlink_to("_elsewhere")
    else:
        (mails / "hello" / "template.mjml").unlink()
        (mails / "hello" / "template.mjml").symlink_to("../other/template.mjml")
    commit = following.repository.push("A link")
    following.sync()
    assert (following.commit, following.state) == (commit, "degraded")
    assert following.revision("hello") == before
