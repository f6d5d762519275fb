"""What the reference shows of a class: what this package wrote of it, inherited or not."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


def _foreign(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out a class's members that scikit-learn or Python wrote."""
    del app, name, options
    if skip or what != "class":
        return None
    written_by = getattr(getattr(obj, "fget", obj), "__module__", None) or ""
    return None if written_by.startswith("agnostic_lse") else True


def setup(app: Sphinx) -> dict[str, bool]:
    """Have autodoc ask."""
    app.connect("autodoc-skip-member", _foreign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
