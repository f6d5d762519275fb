"""Follow each link that stays in the built site: ``python -m docs.site_links docs/_build/html``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit


class Page(HTMLParser):
    """What a page links to, and what others can link to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the anchors and the links of a tag."""
        values = {name: value or "" for name, value in attrs}
        self.anchors.update(values[name] for name in ("id", "name") if name in values)
        if tag in ("a", "link"):
            self.links.append(values.get("href", ""))
        elif tag in ("img", "script", "source"):
            self.links.append(values.get("src", ""))
            sizes = values.get("srcset", "").split(",")
            self.links += [size.split()[0] for size in sizes if size.strip()]


def pages_of(site: Path) -> list[Page]:
    """Return the site's pages, without the theme's templates."""
    return [Page(path) for path in site.rglob("*.html") if "_static" not in path.parts]


def dead_links(site: Path) -> Iterator[tuple[str, str]]:
    """Yield the pages and their links that lead nowhere."""
    pages = {page.path.resolve(): page for page in pages_of(site)}
    for here, page in pages.items():
        for link in page.links:
            address, anchor = urldefrag(link)
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            there = (here.parent / unquote(parts.path)).resolve() if parts.path else here
            there = there / "index.html" if there.is_dir() else there
            missing = anchor and there in pages and unquote(anchor) not in pages[there].anchors
            if not there.exists() or missing:
                yield str(here.relative_to(site.resolve())), link


def main(site: Path) -> int:
    """Print what leads nowhere, and return how many links that are, at most 1."""
    dead = list(dead_links(site))
    for page, link in dead:
        print(f"{page}: {link} leads nowhere")
    pages = pages_of(site)
    links = sum(len(page.links) for page in pages)
    elsewhere = {link for page in pages for link in page.links if urlsplit(link).netloc}
    print(
        f"{len(pages)} pages, {links} links, {len(dead)} of them dead; "
        f"{len(elsewhere)} addresses elsewhere were not asked"
    )
    return min(1, len(dead))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
