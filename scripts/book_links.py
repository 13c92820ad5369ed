"""Prints the links of a built book, in the folder of the first argument, that lead to no file."""

import pathlib
import re
import sys

book = pathlib.Path(sys.argv[1])
pages = [page for page in book.rglob("*.html") if page.name not in ("404.html", "print.html", "toc.html")]
lost = set()
for page in pages:
    for link in re.findall(r'href="([^"#]+)(?:#[^"]*)?"', page.read_text()):
        if "://" not in link and not link.startswith(("data:", "mailto:")) and not (page.parent / link).exists():
            lost.add(f"{page.relative_to(book)}: {link}")
print("\n".join(sorted(lost)), end="\n" if lost else "")
sys.exit(1 if lost or len(pages) < 40 else 0)
