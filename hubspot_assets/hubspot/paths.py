"""Where each API of HubSpot's lives: path templates by API and endpoint.

The templates are data, in `paths.csv`, one row per endpoint:

* `versions`: those that HubSpot serves, the preferred one first. HubSpot dates its APIs since
  2026 (`2026-09`); the older ones are numbered (`v3`), and unsupported from 2027 on.
* `dated`, `numbered`: the template for either kind of version; they differ in the order of
  their parts. Empty where HubSpot has no such form.
* `budget`: the rate limit that a call draws on (see `budgets`); empty for none.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from urllib.parse import quote, urlsplit

from hubspot_assets.hubspot.errors import HubSpotError

#: Query parameters by name; those that are None are left out.
Params = Mapping[str, str | int | bool | None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint in the version that was chosen: `template` has the path's arguments open."""

    api: str
    name: str
    budget: str
    template: str

    def url(self, arguments: Mapping[str, str], params: Params | None = None) -> str:
        """The path with its arguments, percent-encoded, in place, and the query behind it.

        Raises ValueError for an argument that is missing, empty or one too many.
        """
        path = self.template
        for name, value in arguments.items():
            place = f"{{{name}}}"
            if not value or place not in path:
                why = "has no place for" if value else "needs a value for"
                raise ValueError(f"{self.api} {self.name} {why} {name} in {self.template}")
            path = path.replace(place, quote(value, safe=""))
        if "{" in path:
            raise ValueError(f"{self.api} {self.name} needs more for its path {self.template}")
        return f"{path}?{_query(params)}" if params else path


class Paths:
    """Every endpoint's path, each API in its preferred version unless `versions` says otherwise.

    `versions` maps an API to a version: `Paths({"owners": "v3"})`; endpoints of the API that the
    version lacks are left out. Raises ValueError for an API or a version that `paths.csv` does not
    have.
    """

    def __init__(self, versions: Mapping[str, str] | None = None) -> None:
        table = _table()
        served: dict[str, dict[str, None]] = {}
        for row in table.values():
            served.setdefault(row["api"], {}).update(dict.fromkeys(row["versions"].split()))
        chosen = dict(versions or {})
        for api, version in chosen.items():
            if api not in served:
                raise ValueError(f"there is no API {api!r}; known are {', '.join(sorted(served))}")
            if version not in served[api]:
                raise ValueError(
                    f"HubSpot's API {api} has no version {version!r}; "
                    f"it has {', '.join(served[api])}"
                )
        #: Which version of each API was chosen.
        self.versions = {api: next(iter(of)) for api, of in served.items()} | chosen
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._older: dict[Endpoint, Endpoint] = {}
        for key, row in table.items():
            has = row["versions"].split()
            if (version := chosen.get(row["api"], has[0])) in has:
                these = [_endpoint(row, each) for each in has[has.index(version) :]]
                self._endpoints[key] = these[0]
                self._older |= pairwise(these)

    def has(self, api: str, name: str = "list") -> bool:
        """Whether the API has the endpoint `name` in the version that was chosen."""
        return (api, name) in self._endpoints

    def endpoint(self, api: str, name: str = "list") -> Endpoint:
        """The endpoint `name` of `api`. Raises ValueError if there is none."""
        try:
            return self._endpoints[api, name]
        except KeyError:
            known = ", ".join(sorted(f"{api} {name}" for api, name in self._endpoints))
            raise ValueError(f"there is no endpoint {api} {name}; known are {known}") from None

    def older(self, endpoint: Endpoint) -> Endpoint | None:
        """The endpoint in the next older version of its API; None where there is none."""
        return self._older.get(endpoint)

    def path(self, api: str, name: str = "list", **arguments: str) -> str:
        """The path of an endpoint: `path("objects", "list", object_type="0-1")`."""
        return self.endpoint(api, name).url(arguments)


def host_of(base_url: str) -> str:
    """The host of `base_url`. Raises HubSpotError if that is no http(s) URL."""
    url = urlsplit(base_url)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise HubSpotError(f"base URL {base_url!r} is not one; expected https://api.hubapi.com")
    return url.netloc.rpartition("@")[2]


@cache
def _table() -> dict[tuple[str, str], dict[str, str]]:
    text = files(__package__).joinpath("paths.csv").read_text(encoding="utf-8")
    return {(row["api"], row["endpoint"]): row for row in csv.DictReader(text.splitlines())}


def _endpoint(row: dict[str, str], version: str) -> Endpoint:
    template = row["numbered" if version.startswith("v") else "dated"]
    return Endpoint(
        row["api"], row["endpoint"], row["budget"], template.replace("{version}", version)
    )


def _query(params: Params) -> str:
    """Params as they stand in a URL: commas as they are, since HubSpot limits its length."""
    return "&".join(
        f"{name}={quote(_text(value), safe=',:')}"
        for name, value in params.items()
        if value is not None
    )


def _text(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
