"""What mammoth leaves out of a Word document though it is text: simple fields, and the boxes of a drawing for which the document
has no older form beside it (Word writes one, other programs may not)."""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_V = "{urn:schemas-microsoft-com:vml}"
_FIELD, _BOX, _DRAWING, _ALTERNATIVES = f"{_W}fldSimple", f"{_W}txbxContent", f"{_W}drawing", f"{_MC}AlternateContent"
_BODY = re.compile(r"word/document\d*\.xml")


def whole(path: Path) -> BinaryIO:
    """The document of a file as mammoth reads all of it: fields are the text that they show, boxes are in their older form. Raises
    what a broken archive or broken XML raises."""
    written = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(written, "w") as copy:
        for part in archive.infolist():
            data = archive.read(part)
            if _BODY.fullmatch(part.filename) and (b"fldSimple" in data or b"txbxContent" in data):
                root = ElementTree.fromstring(data)
                _put_plainly(root)
                data = ElementTree.tostring(root, "utf-8", xml_declaration=True)
            copy.writestr(part.filename, data)
    written.seek(0)
    return written


def _put_plainly(root: ElementTree.Element) -> None:
    for parent in list(root.iter()):
        at = 0
        while at < len(parent):
            child = parent[at]
            if child.tag == _FIELD:
                parent[at : at + 1] = list(child)
                continue
            if child.tag in (_ALTERNATIVES, _DRAWING) and (boxes := list(_boxes(child))):
                parent[at] = _older(boxes)
            at += 1


def _boxes(drawn: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """The boxes in `drawn` that are in no other; none where the older form beside it has them."""
    older = drawn.find(f"{_MC}Fallback")
    if older is not None and next(older.iter(_BOX), None) is not None:
        return
    inner: set[int] = set()
    for box in drawn.iter(_BOX):
        if id(box) not in inner:
            yield box
        inner |= {id(one) for one in box.iter(_BOX)}


def _older(boxes: list[ElementTree.Element]) -> ElementTree.Element:
    picture = ElementTree.Element(f"{_W}pict")
    ElementTree.SubElement(picture, f"{_V}textbox").extend(boxes)
    return picture
