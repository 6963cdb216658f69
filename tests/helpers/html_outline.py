"""What a page of HTML has: its elements, which close in order, ids, links, headings, tables."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Outline(HTMLParser):
    """The elements of a page: that they close in order, their ids, links and headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.asked: list[str] = []
        self.headings: list[str] = []
        self.tables: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open += [tag] if tag not in VOID else []
        given = dict(attrs)
        self.ids += [given["id"]] if given.get("id") else []
        self.asked += [v for k, v in attrs if k in ("src", "href", "srcset", "data") and v]
        if tag == "tr":
            self.tables.append([])
        if tag in ("td", "th"):
            self.tables[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} closes another"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings.append(data)
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1] += data
