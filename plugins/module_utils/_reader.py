# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the readers of a projection's parts share: what the API server serves, and what there was no right to read.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import KINDS, collection_path

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

# The lists of objects that were read already by kind and selector, V(None) where there was no right to.
Lists = dict[tuple[str, Any], Any]


class Reader:
    """The reading of one part. C(unread) are the paths that there was no right to read."""

    def __init__(self, api: Api, groups: Mapping[str, Mapping[str, Any]], lists: Lists | None = None) -> None:
        """Take the API groups by name, as /apis lists them, and the lists that parts read in one go share."""
        self.api = api
        self.groups = groups
        self.unread: list[str] = []
        self._lists: Lists = {} if lists is None else lists

    def serves(self, api_version: str) -> bool:
        """Tell whether the API server knows a group at a version, given as in C(apiVersion)."""
        group, _slash, version = api_version.rpartition("/")
        versions = self.groups.get(group, {}).get("versions", [])
        return not group or version in {item["version"] for item in versions}

    def if_allowed(self, path: str, ask: Callable[[str], Any]) -> Any:
        """Read what planning can do without; where the right lacks, it is known to be unknown (V(None), C(unread))."""
        try:
            return ask(path)
        except ApiError as error:
            if error.status != 403:
                raise
            self.unread.append(path)
            return None

    def items(self, kind: str, selector: str | None = None) -> list[dict[str, Any]]:
        """Read all objects of a kind; none where the kind is not served or may not be read."""
        return self.known_items(kind, selector) or []

    def known_items(self, kind: str, selector: str | None = None) -> list[dict[str, Any]] | None:
        """Read all objects of a kind once for all parts; none where it is not served, V(None) if it may not be read."""
        if not self.serves(KINDS[kind].api_version):
            return []
        path, key = collection_path(kind), (kind, selector)
        if key in self._lists:
            found = self._lists[key]
            # Every part says for itself what it could not see.
            self.unread += [path] if found is None else []
            return found

        def ask(path: str) -> list[dict[str, Any]]:
            return (self.api.find(path, labelSelector=selector) or {"items": []})["items"]

        self._lists[key] = self.if_allowed(path, ask)
        return self._lists[key]
