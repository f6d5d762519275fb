"""What reads well in a checkout reads as well on the site: links, and the ends of sessions."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

# An example's program has its page in the gallery.
EXAMPLE = re.compile(r"\]\((?:\.\./)*examples/([\w/]+)\.py\)")
# doctest wants an empty line after what is printed, and nobody else does.
END_OF_SESSION = re.compile(r"\n\n( *```)$", flags=re.MULTILINE)


def _to_the_site(app: Sphinx, name: str, source: list[str]) -> None:
    del app, name
    source[0] = END_OF_SESSION.sub(r"\n\1", EXAMPLE.sub(r"](/gallery/\1.rst)", source[0]))


def setup(app: Sphinx) -> dict[str, bool]:
    """Have Sphinx ask before it reads a page."""
    app.connect("source-read", _to_the_site)
    app.connect("include-read", lambda app, _path, name, source: _to_the_site(app, name, source))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
