from pathlib import Path

import pytest

from bitstreams.xml_file import read_xml
from hw_templates.errors import StorageError


def test_marked_and_other_encodings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    for content in ("\ufeff<a b='ü'/>".encode(), "<a b='ü'/>".encode("utf-16")):
        path.write_bytes(content)
        assert read_xml(path, "").get("b") == "ü"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<a>",
        b"<a>\xff</a>",
        b'<?xml version="1.0" encoding="foo"?><a/>',
        b'<?xml version="1.0" encoding="utf-32"?><a/>',
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    ],
)
def test_what_is_no_plain_xml_is_refused_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"a\.xml: is corrupt \(.*\); copy it again"):
        read_xml(path, "copy it again")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"gone\.xml: cannot be read \(No such file"):
        read_xml(tmp_path / "gone.xml", "")
