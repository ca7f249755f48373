"""Compile a pull request: the templates that it changes, compared with what is live. Nothing of it is served."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from service.deployments.prepare import Live
from service.errors import Finding, GitError
from service.models import Change, Commit, ContractLine, DeploymentItem, Preview, PreviewItem
from service.store import revisions, template_files
from service.store.database import Database
from service.templates.cache import CompilationCache
from service.templates.compiler import COMPILER_VERSION, Compilation, TemplateCompiler, library_versions
from service.templates.contract import contract_changes
from service.templates.findings import CompileAborted, FindingCollector
from service.templates.site_values import read_declarations
from service.templates.source.files import Files
from service.templates.source.remote import GitRemote
from service.templates.source.remote_files import CommitFiles, TreeBounds

#: Files of a pull request, and bytes of them.
TREE = TreeBounds(files=5_000, total_bytes=50_000_000)
#: Compiling all templates of one pull request, seconds; the one under way may end later.
DEADLINE_S = 60.0
#: Templates that one pull request changes, at most.
MAX_TEMPLATES = 200
#: Findings of one template, and of the files as a whole; characters of each text of a finding.
MAX_FINDINGS = 50
_MAX_TEXT = 500
#: Compiled templates of one preview, bytes: one of 100 KB is large.
MAX_ARCHIVE_BYTES = 1_000_000
MAX_ARCHIVES_BYTES = 20_000_000
#: Paths and values that are named as the reason of a change.
_MAX_WHY = 20


@dataclass(frozen=True, slots=True)
class CompiledPreview:
    """A preview with the templates that it changes, and those that compile in their archive form, by key."""

    preview: Preview
    items: Sequence[PreviewItem]
    archives: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class PreviewCompiler:
    """Compiles pull requests of `remote`. What is the same as in `cache`, that of the live ref, is taken from there.

    `judged_with` gives the settings that make a pull request be compiled again.
    """

    database: Database
    remote: GitRemote
    compiler: TemplateCompiler
    cache: CompilationCache
    judged_with: Callable[[], Mapping[str, str]]
    monotonic_s: Callable[[], float]

    def judgement(self, commit: str, live: Live | None, head: str | None) -> str:
        """What a preview rests on: it is made again only where one of these differs. `head` is that of the live ref."""
        rests_on = {
            "commit": commit,
            "live": live.deployment.id if live else None,
            "head": head,
            "compiler": f"{COMPILER_VERSION} {library_versions()}",
            **self.judged_with(),
        }
        return hashlib.sha256(json.dumps(rests_on, sort_keys=True).encode()).hexdigest()

    def compile(self, preview: Preview, live: Live | None) -> CompiledPreview:
        """Compile a pull request whose commit was fetched.

        What is wrong with it is said in the preview; a commit that can't be read has a reason and no templates. Raises
        TryLater if too much else is being compiled, StoreBusy.
        """
        try:
            tree = self.remote.files(preview.commit.id, TREE)
            changed = self._changed(preview, live)
        except GitError as error:
            return CompiledPreview(replace(preview, reason=_bounded(str(error))), (), {})
        return self._of_files(preview, live, tree, changed)

    def _changed(self, preview: Preview, live: Live | None) -> frozenset[str] | None:
        """Paths that the pull request itself changes, whatever else was deployed since; None if that is not known."""
        commit = live.deployment.commit if live is not None else None
        return self.remote.changed_paths(commit.id, preview.commit.id) if commit is not None else None

    def _of_files(
        self, preview: Preview, live: Live | None, tree: CommitFiles, changed: frozenset[str] | None
    ) -> CompiledPreview:
        run = _Run(self, tree, live, changed)
        served = live.items if live is not None else {}
        keys = sorted(tree.files.template_keys(), key=lambda key: (not run.is_own_changed(key), key))
        end_s, unread = self.monotonic_s() + DEADLINE_S, 0
        for number, key in enumerate(keys):
            if self.monotonic_s() >= end_s or len(run.items) >= MAX_TEMPLATES:
                unread = len(keys) - number
                break
            run.look_at(key, served.get(key))
        for key in sorted(served.keys() - set(keys)):
            if changed is None or any(path.startswith(f"{key}/") for path in changed):
                run.note_gone(served[key])
        others = [one for one in tree.findings if one.file.split("/", 1)[0] not in run.items]
        reasons: list[str] = []
        if not keys:
            reasons.append("There is no template in this commit.")
        if unread:
            reasons.append(
                f"{unread} of {len(keys)} templates were not compiled: a preview has {MAX_TEMPLATES} changed templates,"
                f" and {DEADLINE_S:g} s for all of them."
            )
        values = self.compiler.values.resolve(tree.files)
        findings = _few([*(values.findings if run.may_change_values else ()), *others])
        items = sorted(run.items.values(), key=lambda one: one.key)
        done = replace(
            preview,
            reason="\n".join(reasons) or None,
            findings=findings,
            site_values=values.site.values,
            site_examples=_examples(tree.files),
            changed_count=len(items),
            findings_count=len(findings) + sum(len(one.new_findings) for one in items),
        )
        return CompiledPreview(done, items, run.archives)


@dataclass
class _Run:
    """One compilation: the templates that turned out to be changed."""

    compiler: PreviewCompiler
    tree: CommitFiles
    live: Live | None
    changed: frozenset[str] | None
    items: dict[str, PreviewItem] = field(default_factory=dict)
    archives: dict[str, bytes] = field(default_factory=dict)

    @property
    def files(self) -> Files:
        return self.tree.files

    @property
    def may_change_values(self) -> bool:
        """Whether the pull request touches files of the installation's values."""
        return self.changed is None or any("values" in path for path in self.changed)

    def is_own_changed(self, key: str) -> bool:
        """Whether the pull request changes a file in the template's folder."""
        return self.changed is not None and any(path.startswith(f"{key}/") for path in self.changed)

    def look_at(self, key: str, before: DeploymentItem | None) -> None:
        """Compile a template, unless it is known to be as it is served, and note it if it is changed."""
        left_out = [one for one in self.tree.findings if one.file.split("/", 1)[0] == key]
        found = self.compiler.cache.get(key, self.files)
        if found is None:
            found = self.compiler.compiler.compile(self.files, key)
        else:
            found = found.installed(self.compiler.compiler.values.resolve(self.files))
        was = before.revision if before is not None else None
        template = found.template
        values = self._changed_values(found)
        if template is not None and template.revision == was and not values and not left_out:
            return
        why = self._why(key, found)
        if before is not None and not why and not values and not left_out:
            return  # the pull request has it as it was where it branched off
        if before is None:
            change = Change.NEW
        elif self.changed is None or any(path.startswith(f"{key}/") for path in why) or left_out:
            change = Change.CHANGED
        else:
            change = Change.BY_SHARED_PART
        findings = _few([*found.findings, *left_out])
        known = {_named(one) for one in before.findings} if before is not None else set()
        item = PreviewItem(
            key=key,
            change=change,
            why=[*why, *values][:_MAX_WHY],
            revision=template.revision if template is not None else None,
            version=template.manifest.version if template is not None else None,
            revision_before=was,
            version_before=self._version(was),
            contract=self._contract(key) if before is not None else (),
            findings=findings,
            new_findings=[one for one in findings if _named(one) not in known],
        )
        self.items[key] = self._archived(item, found)

    def note_gone(self, before: DeploymentItem) -> None:
        """Note a template that is served, and that the pull request deletes."""
        was = before.revision
        item = PreviewItem(
            key=before.key,
            change=Change.GONE,
            revision_before=was,
            version_before=self._version(was),
            contract=self._contract(before.key),
        )
        self.items[before.key] = item

    def _archived(self, item: PreviewItem, found: Compilation) -> PreviewItem:
        """The item as it is kept: without its template where that is too large."""
        if found.template is None:
            return item
        data = found.template.archive()
        if len(data) > MAX_ARCHIVE_BYTES or sum(map(len, self.archives.values())) + len(data) > MAX_ARCHIVES_BYTES:
            large = Finding(
                f"{item.key}/template.mjml", 1, 1, "error", "preview-too-large",
                f"the compiled template has {len(data):,} bytes, which is more than is kept of a preview",
            )  # fmt: skip
            return replace(item, revision=None, findings=[large], new_findings=[large])
        self.archives[item.key] = data
        return item

    def _why(self, key: str, found: Compilation) -> list[str]:
        """Changed files that the template depends on, its own first; without its ancestor all that may be: its own."""
        inputs = {*found.dependencies, *self.files.folder(key)}
        if self.changed is None:
            return [f"{key}/template.mjml"]
        own = {path for path in self.changed if path.startswith(f"{key}/")}
        return sorted(inputs & self.changed | own, key=lambda path: (not path.startswith(f"{key}/"), path))

    def _changed_values(self, found: Compilation) -> list[str]:
        """Values of the installation that the template uses, and that differ from those of now."""
        if self.live is None or found.values is None or not self.may_change_values:
            return []
        now, then = self.live.deployment.site_values, found.values.site.values
        return [f"site.{name}" for name in sorted(found.site_uses) if now.get(name) != then.get(name)]

    def _contract(self, key: str) -> list[ContractLine]:
        """What changes for the callers of a template that is served."""
        paths = {path: digest for path, digest in self._live_tree.items() if path.startswith(f"{key}/")}
        contents = template_files.files(self.compiler.database, set(paths.values()))
        before = Files.of({path: contents[digest] for path, digest in paths.items() if digest in contents})
        return [
            ContractLine(one.code, str(one.place), _bounded(one.message), one.is_breaking)
            for one in contract_changes(before, self.files, key)[:MAX_FINDINGS]
        ]

    @cached_property
    def _live_tree(self) -> Mapping[str, str]:
        """The files of the live deployment."""
        return template_files.tree(self.compiler.database, self.live.deployment.tree) if self.live is not None else {}

    def _version(self, revision: str | None) -> int | None:
        if revision is None:
            return None
        return revisions.versions_of(self.compiler.database, {revision}).get(revision)


def _examples(files: Files) -> Mapping[str, str]:
    """The examples that the files declare for the installation's values; what is wrong there is a finding already."""
    try:
        return read_declarations(files, FindingCollector()).examples.values
    except CompileAborted:
        return {}


def unreadable(preview: Preview, reason: str) -> CompiledPreview:
    """A preview that has a reason and no templates."""
    return CompiledPreview(replace(preview, reason=_bounded(reason)), (), {})


def new_preview(
    name: str, ref: str, commit: Commit, seen_at: datetime, *, before: Preview | None, links: str
) -> Preview:
    """A preview of a commit that is still to be compiled; the links of an earlier commit go on."""
    return Preview(
        name=name,
        ref=ref,
        commit=commit,
        seen_at=seen_at,
        prepared_at=seen_at,
        judged="",
        deployment_id=None,
        links=before.links if before is not None else links,
    )


def _named(finding: Finding) -> tuple[str, str, str]:
    """A finding without its position: lines move."""
    return finding.file, finding.code, finding.message[:_MAX_TEXT]


def _few(findings: Sequence[Finding]) -> list[Finding]:
    """Findings, errors first where not all are kept, with texts of bounded length."""
    kept = findings
    if len(findings) > MAX_FINDINGS:
        kept = sorted(findings, key=lambda one: not one.is_error)[:MAX_FINDINGS]
    return [
        replace(one, file=_bounded(one.file), message=_bounded(one.message), hint=_bounded(one.hint)) for one in kept
    ]


def _bounded(text: str) -> str:
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
