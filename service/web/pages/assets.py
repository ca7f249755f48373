"""Static files of the pages. The digest in a file's URL lets browsers cache it for ever."""

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from litestar import Controller, Response, get
from litestar.params import FromPath

from service.errors import NotFound
from service.web.dependencies import AnyRequest

#: Files from installed packages, beside those in `static`: name -> (package, path in it).
_FROM_PACKAGES: Mapping[str, tuple[str, str]] = {
    "htmx.min.js": ("js_lib_htmx", "static/htmx/htmx.min.js"),
}
_OWN = Path(__file__).parent / "static"
_FOR_EVER = "public, max-age=31536000, immutable"
_DIGEST_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file and its URL."""

    data: bytes
    media_type: str
    url: str


class Assets:
    """All static files, read once at start."""

    def __init__(self) -> None:
        found = {path.name: path.read_bytes() for path in sorted(_OWN.iterdir()) if path.is_file()}
        for name, (package, path) in _FROM_PACKAGES.items():
            found[name] = files(package).joinpath(path).read_bytes()
        self._by_name = {name: _asset(name, data) for name, data in found.items()}
        self._by_url = {asset.url: asset for asset in self._by_name.values()}

    def url(self, name: str) -> str:
        """Return the URL of a file. Raises KeyError for an unknown name."""
        return self._by_name[name].url

    def at(self, url: str) -> Asset | None:
        """The asset at this URL; None if there is none."""
        return self._by_url.get(url)


class AssetController(Controller):
    """GET /admin/assets/{digest}/{name}; open, as the sign-in page needs its style sheet."""

    @get("/admin/assets/{digest:str}/{name:str}", opt={"open": True})
    async def asset(self, request: AnyRequest, digest: FromPath[str], name: FromPath[str]) -> Response[bytes]:
        """Return a style sheet, script or picture of the pages, if the digest is that of its content."""
        assets: Assets = request.app.state.assets
        found = assets.at(f"/admin/assets/{digest}/{name}")
        if found is None:
            raise NotFound("There is nothing at this address.")
        return Response(found.data, media_type=found.media_type, headers={"Cache-Control": _FOR_EVER})


def _asset(name: str, data: bytes) -> Asset:
    media_type = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0] or "text/plain"
    return Asset(data, media_type, f"/admin/assets/{hashlib.sha256(data).hexdigest()[:_DIGEST_LENGTH]}/{name}")
