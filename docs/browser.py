"""Try the built site in a real browser: ``python -m docs.browser docs/_build/html [PICTURES]``.

Needs the package playwright and a Chromium, which CHROMIUM names; else it is looked for. Each page
is opened at the width of a desk and of a phone, in the light and the dark theme. It fails if a
picture or a formula is not drawn, a page is wider than the screen, a script complains, or the
search does not find what it must.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from docs.site_links import pages_of

WIDTHS = {"desk": (1280, 900), "phone": (390, 844)}
THEMES: tuple[Any, ...] = ("light", "dark")
# Pictures are made of these; all others are only checked.
SHOWN = {
    "landing": "index.html",
    "quick-start": "start/pipeline.html",
    "guide": "guide/digits.html",
    "api": "reference/generated/agnostic_lse.logsumexp.html",
    "class": "reference/generated/agnostic_lse.sklearn.LogProbabilityClassifier.html",
    "gallery": "gallery/index.html",
    "speed": "speed.html",
    "comparison": "comparison.html",
}
SEARCHES = {
    "logsumexp": "agnostic_lse.logsumexp",
    "predict_log_proba": "LogProbabilityClassifier",
    "cupy": "On a GPU",
}
FAULTS = """async () => {
  const faults = [];
  for (const image of document.images) {
    image.loading = 'eager'; // else those further down come with the reader
    await image.decode().catch(() => null);
  }
  const seen = (node) => node.offsetParent !== null;
  for (const image of document.querySelectorAll('article img')) {
    if (!seen(image)) continue;
    if (!image.complete || !image.naturalWidth) faults.push('no picture: ' + image.src);
    // A thumbnail's words are those of the link that it is in.
    const thumbnail = image.closest('.sphx-glr-thumbcontainer');
    if (!image.alt && !thumbnail) faults.push('a picture without words: ' + image.src);
  }
  for (const formula of document.querySelectorAll('math')) {
    const box = formula.getBoundingClientRect();
    if (seen(formula.parentElement) && (box.width < 2 || box.height < 2))
      faults.push('no formula: ' + formula.textContent);
  }
  const excess = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (excess > 1) faults.push('wider than the screen by ' + excess);
  return faults;
}"""


class Quiet(SimpleHTTPRequestHandler):
    """A server that says nothing."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name it has there)
        """Drop what it would say."""


def chromium() -> str:
    """Return where a Chromium is."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise SystemExit("No Chromium was found: install one, or name it in CHROMIUM.")
    return found


def faults(browser: Browser, root: str, pages: list[str], pictures: Path | None) -> Iterator[str]:
    """Yield what is wrong with pages, and make pictures of some."""
    for width, (across, down) in WIDTHS.items():
        for theme in THEMES:
            view = browser.new_context(
                viewport={"width": across, "height": down}, color_scheme=theme
            )
            tab = view.new_page()
            complaints: list[str] = []
            tab.on("pageerror", lambda error, said=complaints: said.append(str(error)))
            tab.on(
                "console",
                lambda message, said=complaints: (
                    said.append(message.text) if message.type == "error" else None
                ),
            )
            for page in pages:
                tab.goto(f"{root}/{page}", wait_until="load")
                found = [*tab.evaluate(FAULTS), *complaints]
                complaints.clear()
                yield from (f"{page}, {width}, {theme}: {fault}" for fault in found)
                for name, shown in SHOWN.items():
                    if pictures and shown == page:
                        tab.screenshot(path=pictures / f"{name}-{width}-{theme}.png")
            view.close()


def search_faults(browser: Browser, root: str) -> Iterator[str]:
    """Yield the searches that do not find what they must."""
    tab = browser.new_page()
    for words, wanted in SEARCHES.items():
        tab.goto(f"{root}/search.html?q={words}")
        # Results come one by one, and the heading says when all are there.
        tab.locator("#search-results .search-summary", has_text="found").wait_for()
        titles = tab.locator("#search-results li > a").all_inner_texts()
        if not any(wanted in title for title in titles):
            yield f"searching {words} found {titles}, but {wanted} was expected"
    tab.close()


def main(site: Path, pictures: Path | None) -> int:
    """Print what is wrong, and return 1 if anything is."""
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
    pages = sorted(page.path.relative_to(site).as_posix() for page in pages_of(site))
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=os.fspath(site))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    root = f"http://127.0.0.1:{server.server_port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        wrong = [*faults(browser, root, pages, pictures), *search_faults(browser, root)]
        browser.close()
    server.shutdown()
    for fault in wrong:
        print(fault)
    print(
        f"{len(pages)} pages at {len(WIDTHS)} widths in {len(THEMES)} themes, "
        f"{len(SEARCHES)} searches: {len(wrong)} faults"
    )
    return min(1, len(wrong))


if __name__ == "__main__":
    arguments = [Path(argument) for argument in sys.argv[1:]]
    sys.exit(main(arguments[0], arguments[1] if len(arguments) > 1 else None))
