"""The diff of two mails that people read."""

from service.templates.snapshots.readable_diff import differences, printable, shortened


def test_diff_marks_the_words_that_changed_with_the_line_before() -> None:
    old, new = "<tr><td>Bonjour Zoé,</td></tr>", "<tr><td>Bonsoir Zoé,</td></tr>"
    assert list(differences(old, new)) == ["  <td>", "! [-Bonjour-]{+Bonsoir+} Zoé,"]


def test_diff_tells_lines_that_are_gone_or_new() -> None:
    assert list(differences("a\nb\nc\n", "a\nc\n")) == ["  a", "- b"]
    assert list(differences("a\nc\n", "a\nb\nc\n")) == ["  a", "+ b"]


def test_diff_is_empty_when_nothing_differs() -> None:
    assert list(differences("<p>a</p>", "<p>a</p>")) == []


def test_diff_says_where_spaces_alone_differ() -> None:
    assert list(differences("<p>\na</p>", "<p>a</p>")) == ["  only spaces or line breaks differ, first at character 3"]


def test_diff_writes_out_a_space_that_changed_and_leaves_the_others() -> None:
    assert list(differences("12\xa0500 F a", "12\xa0500\xa0F a")) == ["! 12\xa0500[- -]{+\\xa0+}F a"]


def test_diff_controls_no_terminal() -> None:
    told = "\n".join(differences("\x1b[31ma", "\x1b[31mb\x9b\u202e"))
    assert printable("\x1b") == "\\x1b"
    assert all(one.isprintable() or one == "\n" for one in told)


def test_diff_of_large_mails_is_bounded() -> None:
    old = "\n".join(f"<td>{n}</td>" for n in range(30_000))
    new = "\n".join(f"<th>{n}</th>" for n in range(30_000))
    lines = list(differences(old, new))
    assert len(lines) < 3_500
    assert lines[-1] == "  … only 1000 lines are compared"
    assert len(list(shortened(iter(lines), 10))) == 11


def test_diff_of_one_long_line_is_bounded() -> None:
    old, new = " ".join(f"a{n}" for n in range(200_000)), " ".join(f"b{n}" for n in range(200_000))
    assert max(map(len, differences(old, new))) < 3_000
