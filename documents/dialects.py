"""Markdown as Obsidian, Notion, GitHub, Docusaurus, MkDocs, Hugo, Jekyll and others extend it, as CommonMark: what only a program
reads is left out, and titles of boxes, terms and footnotes are paragraphs."""

import re
from collections.abc import Iterator, Sequence

_YAML = re.compile(r"\A---[ \t]*\n(?:(.*?)\n)??(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TOML = re.compile(r"\A\+\+\+[ \t]*\n(.*?)\n\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL)
_JSON = re.compile(r"\A\{[ \t]*\n(.*?)\n\}[ \t]*(?:\n|\Z)", re.DOTALL)
_KEY = re.compile(r"\A\s*(?:#|[\w\"'-][\w .\"'-]{0,60}:(?:\s|$))")  # a front matter begins with one, or a comment
_TITLE = re.compile(r"^[ \t]*\"?title\"?[ \t]*[:=][ \t]*(\S[^\n]*)", re.MULTILINE | re.IGNORECASE)

_FENCE = re.compile(r"\A(`{3,}|~{3,})")
_ADMONITION = re.compile(
    r"\A(?:(?:!!!|\?\?\?\+?) ?[\w-]{1,30}(?: [\w-]{1,30}){0,3}|===[!+]?(?= \"))(?: {1,4}\"([^\"\n]{0,200})\")?\Z"
)
_CONTAINER = re.compile(r"\A:{3,10} {0,4}(?:\{?\.?[\w-]{1,30}\}?)?(?:\[([^\]\n]{0,200})\]| {1,4}(\S.{0,200}))?\Z")
_CALLOUT = re.compile(r"\A((?:>[ \t]?){1,9})\[![\w|-]{1,40}\][+-]?[ \t]?(.*)")
_NOTE = re.compile(r"\[\^([^\]\s]{1,60})\]:[ \t]*(.*)")
_NOTE_MARK = re.compile(r"\[\^([^\]\s]{1,60})\](?!:)|\^\[([^\]\n]{1,500})\]")
_DEFINITION = re.compile(r"[ \t]{0,3}:[ \t]{1,3}(\S.*)")
_ONLY_TAGS = re.compile(r"\A#[^\W\d][\w/-]{0,60}(?: {1,4}#[^\W\d][\w/-]{0,60}){0,30}\Z")
_LEFT_OUT = re.compile(  # whole lines: marks for a table of contents, abbreviations
    r"\A(?:\[TOC\]|\[\[_?TOC_?\]\]|(?:[*+-]|1\.) TOC|\*\[[^\]\n]{1,60}\]:.*)\Z", re.IGNORECASE
)
_SPACELESS = re.compile(r"\A(#{2,6})(?=[^#\s])")  # "##Parking"; with one # it is a tag or a number
_EMBED = re.compile(r"!\[\[[^\[\]\n]{0,300}\]\]")  # what is embedded is a file of its own
_LINK = re.compile(r"\[\[([^\[\]|\n#]{0,200})(?:#\^?([^\[\]|\n]{0,200}))?(?:\\?\|([^\[\]\n]{0,200}))?\]\]")
_INLINE = (
    (re.compile(r"%%[^%\n]{0,1000}%%"), ""),  # a comment
    (re.compile(r"==(?=[^\s=])([^=\n]{1,500})(?<=\S)=="), r"\1"),
    (re.compile(r"(?<=\s)\^[\w-]{1,40}[ \t]*\Z"), ""),  # the name of a block
    (re.compile(r"[\[(]([^\W\d][\w -]{0,40})::[ \t]?([^\])\n]{0,200})[\])]"), r"\1: \2"),
    (re.compile(r"\A([ \t]*(?:[-*+][ \t]+)?[^\W\d][\w -]{0,40})::(?=[ \t])"), r"\1:"),
    (re.compile(r"\{\{[^{}\n]{0,500}\}\}|\{%[^%\n]{0,500}%\}|\{[:/][^}\n]{0,200}\}|\{\*[^}\n]{0,500}\*/\}"), ""),
    (re.compile(r"[ \t]\{[#.][\w .#=\"-]{1,100}\}[ \t]*\Z"), ""),  # the name of a heading
    (re.compile(r"[ \t]?(?<![\w:]):[a-z][a-z0-9_+-]{1,40}:(?![\w:])"), ""),  # an emoji by its name
)


def parted(source: str) -> tuple[str, str]:
    """The title that a front matter (YAML, TOML or JSON) gives, "" for none, and the text without it."""
    for form in (_YAML, _TOML, _JSON):
        found = form.match(source)
        if found and (form is not _YAML or not (found[1] or "").strip() or _KEY.match(found[1])):
            title = _TITLE.search(found[1] or "")
            return (title[1].strip().rstrip(",").strip("\"' ") if title else ""), source[found.end() :]
    return "", source


def common(source: str) -> str:
    """The text as CommonMark, with the same code blocks."""
    lines, notes = _without_notes(source.split("\n"))
    return "\n".join(_noted(_spoken(_unboxed(lines)), notes))


def _without_notes(lines: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The lines without the texts of footnotes, and those by their names."""
    kept, notes, name, fence = list[str](), dict[str, str](), "", ""
    for line in lines:
        fence = _fenced(line, fence)
        found = None if fence else _NOTE.match(line)
        if found:
            name = found[1]
            notes[name] = found[2]
        elif name and line.strip() and not fence:
            notes[name] += " " + line.strip()
        else:
            name = ""
            kept.append(line)
    return kept, notes


def _fenced(line: str, fence: str) -> str:
    """The mark of the code block that is open behind `line`, where `fence` was before it."""
    found = _FENCE.match(line.lstrip())
    if not found:
        return fence
    if not fence:
        return found[1]
    return "" if found[1].startswith(fence) and not line.strip().strip(fence[0]) else fence


def _unboxed(lines: Sequence[str]) -> Iterator[str]:
    """Boxes whose text is indented (MkDocs) or between colons (Docusaurus, Pandoc), and those of Obsidian and GitHub, with their
    titles as quotations of their own."""
    boxes: list[int] = []  # how far the box is indented that each line is in
    fence = ""
    for line in lines:
        indent = len(line) - len(line.lstrip(" "))
        while boxes and line.strip() and indent < boxes[-1] + 4:
            boxes.pop()
        line = line[min(indent, 4 * len(boxes)) :]
        was, fence = fence, _fenced(line, fence)
        title: str | None = None
        if was or fence:
            pass
        elif box := _ADMONITION.match(line.strip()):
            boxes.append(indent)
            title = box[1] or ""
        elif box := _CONTAINER.match(line.strip()):
            title = box[1] or box[2] or ""
        elif callout := _CALLOUT.fullmatch(line.strip()):
            within = line[: len(line) - len(line.lstrip())] + callout[1]
            yield from (within + callout[2], within)
            continue
        yield from [line] if title is None else ["", f"> {title}", ""] if title else [""]


def _spoken(lines: Iterator[str]) -> Iterator[str]:
    """The lines without what is not read, each term with its definition."""
    fence, hidden, before = "", False, ""
    for line in lines:
        was, fence = fence, _fenced(line, fence)
        if was or fence:
            yield line
            continue
        if line.strip() == "%%":
            hidden = not hidden
        if hidden or line.strip() == "%%" or _ONLY_TAGS.match(line.strip()) or _LEFT_OUT.match(line.strip()):
            line = ""
        defined = _DEFINITION.fullmatch(line)
        line = _LINK.sub(_linked, _EMBED.sub("", _SPACELESS.sub(r"\1 ", line)))
        for pattern, instead in _INLINE:
            line = pattern.sub(instead, line)
        if defined and before:
            asks = before.endswith("?")
            yield from ("", f"> {before}", "", defined[1], "") if asks else ("", f"{before}: {defined[1]}", "")
            before = ""
            continue
        if before:
            yield before
        before = defined[1] if defined else line
        if not line.strip():
            yield line
            before = ""
    if before:
        yield before


def _linked(link: re.Match[str]) -> str:
    page, heading, alias = link[1], link[2], link[3]
    return alias or ": ".join(filter(None, (page, heading)))


def _noted(lines: Iterator[str], notes: dict[str, str]) -> Iterator[str]:
    """The lines with each footnote behind the paragraph that it belongs to."""
    open_: list[str] = []
    fence = ""
    for line in lines:
        was, fence = fence, _fenced(line, fence)
        if was or fence:
            yield line
            continue
        for mark in _NOTE_MARK.finditer(line):
            open_.append(mark[2] or notes.get(mark[1], ""))
        line = _NOTE_MARK.sub("", line)
        if open_ and not line.strip():
            yield from ("", *(part for text in open_ if text for part in (text, "")))
            open_ = []
        yield line
    yield from ("", *(part for text in open_ if text for part in (text, "")))
