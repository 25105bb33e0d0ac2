"""Text of a Word document that stands in fields and boxes."""

import zipfile
from pathlib import Path

import pytest

from documents.readers import read
from languages.en import LANGUAGE as ENGLISH

_SPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
)


def _p(content: str) -> str:
    return f"<w:p>{content}</w:p>"


def _r(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def _field(content: str) -> str:
    return f'<w:fldSimple w:instr=" DOCPROPERTY x ">{content}</w:fldSimple>'


def _content(inside: str) -> str:
    return f"<w:txbxContent>{inside}</w:txbxContent>"


def _box(text: str) -> str:
    return _content(_p(_r(text)))


def _drawing(inside: str) -> str:
    return (
        f"<w:drawing><wp:anchor><a:graphic><a:graphicData><wps:wsp><wps:txbx>{inside}</wps:txbx></wps:wsp></a:graphicData></a:graphic>"
        "</wp:anchor></w:drawing>"
    )


def _choice(inside: str, older: str = "") -> str:
    fallback = f"<mc:Fallback>{older}</mc:Fallback>" if older else ""
    return f'<mc:AlternateContent><mc:Choice Requires="wps">{_drawing(inside)}</mc:Choice>{fallback}</mc:AlternateContent>'


def _vml(inside: str) -> str:
    return f"<w:pict><v:shape><v:textbox>{inside}</v:textbox></v:shape></w:pict>"


NESTED = _drawing(_box("The fee is 20 euros a year."))
FIELDED = _r("The fee is ") + _field(_r("20 euros")) + _r(" a year.")
BODIES = {
    "a field": _p(_r("The fee is ") + _field(_r("20 euros")) + _r(" a year.")),
    "fields in each other": _p(_r("The fee is ") + _field(_field(_r("20 ")) + _r("euros")) + _r(" a year.")),
    "a field in a link": _p(
        _r("The fee is ") + f'<w:hyperlink w:anchor="a">{_field(_r("20 euros"))}</w:hyperlink>' + _r(" a year.")
    ),
    "a field in a table": f"<w:tbl><w:tr><w:tc>{_p(_field(_r('The fee is 20 euros a year.')))}</w:tc></w:tr></w:tbl>",
    "a box of Word": _p(
        f"<w:r>{_choice(_box('The fee is 20 euros a year.'), _vml(_box('The fee is 20 euros a year.')))}</w:r>"
    ),
    "a box without an older form": _p(f"<w:r>{_choice(_box('The fee is 20 euros a year.'))}</w:r>"),
    "a box with another older form": _p(f"<w:r>{_choice(_box('The fee is 20 euros a year.'), '<w:t>.</w:t>')}</w:r>"),
    "a box alone": _p(f"<w:r>{_drawing(_box('The fee is 20 euros a year.'))}</w:r>"),
    "an old box": _p(f"<w:r>{_vml(_box('The fee is 20 euros a year.'))}</w:r>"),
    "a box in a box": _p(f"<w:r>{_drawing(_content(_p(f'<w:r>{NESTED}</w:r>')))}</w:r>"),
    "a field in a box": _p(f"<w:r>{_drawing(_content(_p(FIELDED)))}</w:r>"),
}


@pytest.mark.parametrize("body", BODIES)
def test_text_in_fields_and_boxes_is_read_once(body: str, tmp_path: Path) -> None:
    xml = (
        f'<?xml version="1.0"?><w:document {_SPACES}><w:body>{_p(_r("Members join here."))}{BODIES[body]}</w:body></w:document>'
    )
    with zipfile.ZipFile(tmp_path / "club.docx", "w") as archive:
        archive.writestr("word/document.xml", xml)
    text = " ".join(section.text for section in read(tmp_path / "club.docx", tmp_path, ENGLISH.knowledge).sections)
    assert text.count("The fee is 20 euros a year.") == 1
    assert text.count("Members join here.") == 1
