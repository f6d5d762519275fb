"""Inventories for intersphinx from a list in plain text, so that a build asks nobody.

Each line names a project, an object, its role and its page; a project's first line has its address.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from pathlib import Path

# https://www.sphinx-doc.org/en/master/: version 2 of the format is this head and zlib's lines.
HEAD = (
    "# Sphinx inventory version 2\n# Project: {}\n# Version: \n# The rest is compressed by zlib.\n"
)


def mapping(listed: Path, folder: Path) -> dict[str, tuple[str, str]]:
    """Write an inventory for each project, and return what `intersphinx_mapping` takes."""
    addresses: dict[str, str] = {}
    objects: defaultdict[str, list[str]] = defaultdict(list)
    for line in listed.read_text().splitlines():
        project, name, *rest = line.split()
        if name.startswith("https://"):
            addresses[project] = name
            continue
        role, page = rest
        objects[project].append(f"{name} py:{role} 1 {page} -\n")
    folder.mkdir(parents=True, exist_ok=True)
    for project, lines in objects.items():
        head = HEAD.format(project).encode()
        (folder / f"{project}.inv").write_bytes(head + zlib.compress("".join(lines).encode()))
    return {project: (url, str(folder / f"{project}.inv")) for project, url in addresses.items()}
