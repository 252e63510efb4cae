"""Data Docs pages that ask no other machine for anything.

Great Expectations' own pages name style sheets, scripts and pictures on content delivery
networks. These views, named in the site's configuration, leave those out and put in a small
style and script of our own, so that the pages work from a disk without a network.
"""

from __future__ import annotations

import re
from typing import Any

from great_expectations.render.view.view import DefaultJinjaIndexPageView, DefaultJinjaPageView
from jinja2.bccache import Bucket, BytecodeCache

_ELSEWHERE = (
    re.compile(r"<script[^>]*\bsrc=[\"']https?://[^>]*>\s*</script>", re.I),
    re.compile(r"<link[^>]*\bhref=[\"']https?://[^>]*>", re.I),
    re.compile(r"<img[^>]*\bsrc=[\"']https?://[^>]*>", re.I),
    re.compile(r"<link[^>]*\brel=[\"']shortcut icon[^>]*>", re.I),
    re.compile(r"<button[^>]*clearTableFilters[^>]*>.*?</button>", re.I | re.S),
    re.compile(r"<footer>.*?newsletter.*?</footer>", re.I | re.S),
)
_STYLE_URL = re.compile(r"url\(\s*[\"']?https?://[^)]*\)", re.I)
_STYLE = """
body { font-family: system-ui, sans-serif; font-size: 15px; margin: 1rem auto; max-width: 1200px;
  padding: 0 1rem; line-height: 1.45; }
.row { display: flex; flex-wrap: wrap; gap: 0 1.5rem; }
.col-lg-2 { flex: 0 0 14rem; } .col-lg-10 { flex: 1 1 30rem; min-width: 0; }
.col-12 { flex: 1 1 100%; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
td, th { border-bottom: 1px solid #ddd; padding: .35rem .6rem; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
.badge { background: #e8eef4; border-radius: .3rem; padding: .05rem .4rem; }
.text-success, .fa-check-circle { color: #1a7f37; } .text-danger, .fa-times { color: #b42318; }
.fa-check-circle::before { content: "\\2713"; } .fa-times::before { content: "\\2717"; }
.fa-exclamation-triangle::before { content: "\\26A0"; }
.breadcrumb { display: flex; gap: 1rem; list-style: none; padding: 0; }
.card { border: 1px solid #ddd; border-radius: .4rem; padding: .5rem; margin-bottom: 1rem; }
.btn-group input, .modal, .invisible { display: none; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; }
  td, th, .card { border-color: #444; } .badge { background: #2a3540; } a { color: #8ab4f8; } }
"""

# The index draws its tables with bootstrap-table on jQuery; this is the little of both it needs.
_SCRIPT = """
window.$ = function (target) {
  var found = typeof target === "string" ? Array.from(document.querySelectorAll(target))
    : target instanceof Array ? target : [target];
  var all = {
    bootstrapTable: function (options) {
      if (typeof options !== "object") return all;
      var rows = options.data.slice(), sort = "_" + options.sortName + "_sort";
      rows.sort(function (a, b) {
        var x = a[sort] || a[options.sortName], y = b[sort] || b[options.sortName];
        var order = x < y ? -1 : x > y ? 1 : 0;
        return options.sortOrder === "desc" ? -order : order;
      });
      found.forEach(function (table) {
        var head = table.createTHead().insertRow(), body = table.createTBody();
        options.columns.forEach(function (column) {
          head.appendChild(document.createElement("th")).textContent = column.title;
        });
        rows.forEach(function (row) {
          var line = body.insertRow();
          options.columns.forEach(function (column) {
            line.insertCell().innerHTML = row[column.field] == null ? "" : row[column.field];
          });
          line.style.cursor = "pointer";
          line.onclick = function () { window.location = row._table_row_link_path; };
        });
      });
      return all;
    },
    ready: function (then) { then(); return all; },
    on: function () { return all; },
    modal: function () { return all; },
    removeClass: function (name) {
      found.forEach(function (e) { e.classList.remove(name); }); return all; },
    parent: function () { return $(found.map(function (e) { return e.parentElement; })); },
    each: function (then) { found.forEach(function (e, i) { then(i, e); }); return all; },
    fadeIn: function () { found.forEach(function (e) { e.style.display = ""; }); return all; },
    fadeOut: function () { found.forEach(function (e) { e.style.display = "none"; }); return all; }
  };
  return all;
};
"""


def without_network(page: str) -> str:
    """The page without scripts, styles and pictures of other machines, with our own style.

    >>> "cdn" in without_network('<head><script src="https://cdn.example/x.js"></script></head>')
    False
    """
    for pattern in _ELSEWHERE:
        page = pattern.sub("", page)
    page = _STYLE_URL.sub("none", page)
    own = f"<style>{_STYLE}</style>\n<script>{_SCRIPT}</script>\n</head>"
    return page.replace("</head>", own, 1)


class _Compiled(BytecodeCache):
    """Compiled templates of this process: each view has an environment, all the same templates."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket if its template was compiled before."""
        if bucket.key in self._known:
            bucket.bytecode_from_string(self._known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Remember a compiled template."""
        self._known[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


class OfflinePageView(DefaultJinjaPageView):
    """A page of one validation or suite."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.env.bytecode_cache = _COMPILED

    def render(self, document: Any, template: Any = None, **kwargs: Any) -> str:
        """The page as HTML."""
        return without_network(str(super().render(document, template, **kwargs)))  # type: ignore[no-untyped-call]


class OfflineIndexPageView(DefaultJinjaIndexPageView):
    """The site's first page."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.env.bytecode_cache = _COMPILED

    def render(self, document: Any, template: Any = None, **kwargs: Any) -> str:
        """The page as HTML."""
        return without_network(str(super().render(document, template, **kwargs)))  # type: ignore[no-untyped-call]
