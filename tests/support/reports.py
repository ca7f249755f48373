"""Reports of a diff for tests: a small whole one, and hypothesis strategies for those of strangers."""

from hypothesis import strategies as st

from service.templates.diff.report import (
    ContractReport,
    FindingReport,
    Findings,
    MailReport,
    Refused,
    Replayed,
    Report,
    ServiceReplay,
    Side,
    Snapshots,
    TemplateReport,
    Why,
    Words,
)

BASE = "3fa91c2" + "0" * 33
HEAD = "81d0e77" + "0" * 33


def report(text: str = "plain", *, head: str | None = HEAD, templates: int = 1) -> Report:
    """A report that has each of its parts, with `text` in each of its texts."""
    words = Words(before=text, after=f"{text}!")
    mail = MailReport(
        locale=text, example=text, parts=["html", "subject"], subject=words, preheader=words, size_before=1,
        size_after=2, is_clipped=True, failure=text,
    )  # fmt: skip
    changed = TemplateReport(
        key=text, change="changed", version_before=3, version_after=4, mails=[mail], mails_in_all=2,
        why=[Why(kind="own", name=text), Why(kind="shared", name=text)],
    )  # fmt: skip
    found = [
        FindingReport(file=text, line=2, column=3, severity=one, code=text, message=text, hint=text)
        for one in ("error", "warning")
    ]
    contract = [
        ContractReport(key=text, code=text, is_breaking=one != "safe", is_accepted=one == "accepted", file=text,
                       line=31, column=3, message=text)
        for one in ("breaking", "accepted", "safe")
    ]  # fmt: skip
    refused = [Refused(endpoint=text, pointer=text, count=12)]
    replay = ServiceReplay(
        environment=text, days=30,
        templates=[Replayed(key=key, replayed=4031, refused=12, by=refused) for key in (text, f"{text}2")],
    )  # fmt: skip
    return Report(
        tool=text, base=Side(ref=text, commit=BASE, note=text), head=Side(ref=text, commit=head),
        templates=[*[changed] * templates, TemplateReport(key="other", change="same")], contract=contract,
        findings=Findings(new=found, fixed=found[:1], as_before=4),
        snapshots=Snapshots(committed=[text], wrong=[text], missing=[text], orphans=[text]), replay=replay,
        fails=["breaking"],
    )  # fmt: skip


#: What does something on a forge, in a shell or in a parser of Markdown.
_ACTIVE = st.sampled_from(
    ["@octocat", "@org/team", "#1", "GH-1", "o/r#1", "!1", "&1", "$1", "%1", "~bug", "~\"a b\"", "81d0e77", ":tada:",
     "http://evil.example", "https://evil.example/?a", "www.evil.example", "me@evil.example", "mailto:a@b.example",
     "[a](http://evil.example)", "![a](//evil.example/a.png)", "<img src=x>", "<a href=//x>", "<!--", "-->", "</code>",
     "`", "``", "```", "|", "\\|", "\\", "\\`", "\n", "\r\n", "\n\n", "# h", "- [ ] t", "> q", "---", "/close",
     "/merge", "!cmd", "\n/close\n", "[[_TOC_]]", "$`x`$", "$$x$$", "<details>", "&#64;octocat", "&lt;", "*b*", "_i_",
     "~~s~~", "[^1]", "\u202e", "\u200b", "\x00", "\x1b[31m", "::add-mask::x", "##[group]", " ", "é", "\U0001f389"]
)  # fmt: skip
stranger_texts = st.one_of(
    st.lists(st.one_of(_ACTIVE, st.text(max_size=5)), max_size=8).map("".join), st.text(max_size=60)
).map(lambda text: text[:250])
