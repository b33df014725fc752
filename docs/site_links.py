"""Hook of the documentation site: pages beside ``docs/`` are pages of the site too, under other names."""

from typing import Any

_PAGES = {
    "../README.md": "index.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changes.md",
    "../SECURITY.md": "security.md",
    "../LICENSE": "licence.md",
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead links to these pages to where the site has them."""
    for there, here in _PAGES.items():
        markdown = markdown.replace(f"]({there}", f"]({here}")
    return markdown
