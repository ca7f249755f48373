"""Follow the live deployment: load the archived revisions that it serves, and swap them in. Nothing is compiled."""

from dataclasses import dataclass, field
from types import MappingProxyType

import structlog

from service.deployments.prepare import Live, read_live
from service.errors import ArchiveCorrupt
from service.models import DeploymentItem
from service.store import deployments, revisions, template_files
from service.store.database import Database
from service.templates.catalogue import Catalogue, Entry, Snapshot
from service.templates.runtime.sandbox import RenderLimits
from service.templates.runtime.site import Site
from service.templates.source.files import Files
from service.templates.template import Template

_log = structlog.get_logger("deployments")


@dataclass
class Follower:
    """Serves in `catalogue` what the live deployment says.

    Not thread-safe: one thread calls `step`.
    """

    database: Database
    catalogue: Catalogue
    limits: RenderLimits
    _failed: str | None = field(default=None, init=False)

    def load(self) -> None:
        """Serve what is live, at the start of a process. Raises StoreBusy."""
        self.step(says_so=False)

    def step(self, *, says_so: bool = True) -> bool:
        """Look at the live deployment, and serve it if it is another one; True if it is served now.

        Raises StoreBusy. A deployment that can't be read is logged once, and what is served stays.
        """
        self.catalogue.note_look()
        live_id = deployments.live_id(self.database)
        if live_id is None or live_id in (self.catalogue.current.deployment_id, self._failed):
            return False
        live = read_live(self.database)
        if live is None:
            return False
        try:
            snapshot = self._snapshot(live)
        except (ArchiveCorrupt, KeyError) as error:
            self._failed = live.deployment.id
            _log.error("deployment_unreadable", deployment=live.deployment.id, reason=str(error))
            return False
        before = self.catalogue.current
        self.catalogue.serve(snapshot)
        if says_so:
            _log.info("deployment_served", deployment=live.deployment.id, commit=snapshot.commit)
        # Most of these mails are sent many times a second: the next one should not wait for Jinja.
        for key, entry in snapshot.entries.items():
            was = before.entries.get(key)
            served = was.template.revision if was is not None and was.template is not None else None
            if entry.template is not None and served not in (None, entry.template.revision):
                entry.template.prepare()
        return True

    def _snapshot(self, live: Live) -> Snapshot:
        commit = live.deployment.commit.id if live.deployment.commit else None
        site = Site(live.deployment.site_values)
        entries = {
            item.key: Entry(item.key, self._template(item, commit, site), tuple(item.findings))
            for item in deployments.items(self.database, live.deployment.id)
            if item.revision is not None or any(one.is_error for one in item.findings)
        }
        return Snapshot(MappingProxyType(entries), commit, self._files(live), live.deployment.id, site)

    def _template(self, item: DeploymentItem, commit: str | None, site: Site) -> Template | None:
        """The template of an item; the same object where its revision, values and commit are served already."""
        if item.revision is None:
            return None
        known = self.catalogue.current.entries.get(item.key)
        is_kept = item.wanted_revision is not None or any(one.is_error for one in item.findings)
        if known is not None and known.template is not None and known.template.revision == item.revision:
            template = known.template.with_site(site)
            return template if is_kept or template.commit == commit else template.at(commit, dirty=False)
        stored = revisions.revision(self.database, item.revision)
        if stored is None:
            raise ArchiveCorrupt(f"the revision {item.revision} of {item.key} is not stored")
        template = Template.from_archive(stored.archive, limits=self.limits).with_site(site)
        # What an error or a hold keeps was written by an earlier commit.
        return template.at(stored.commit if is_kept else commit, dirty=False)

    def _files(self, live: Live) -> Files:
        """The files of the deployment; contents that are known are not read again."""
        tree = template_files.tree(self.database, live.deployment.tree)
        known = {file.digest: file for file in self.catalogue.current.files.by_path.values()}
        missing = template_files.files(self.database, {digest for digest in tree.values() if digest not in known})
        read = Files.of({path: missing[digest] for path, digest in tree.items() if digest not in known})
        return Files({path: known.get(digest) or read.by_path[path] for path, digest in tree.items()})
