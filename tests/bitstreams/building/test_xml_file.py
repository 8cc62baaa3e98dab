import pytest

from bitstreams.building.xml_file import parse_xml
from hw_templates.foundation.errors import StorageError


def test_marked_and_other_encodings_are_read() -> None:
    for content in ("\ufeff<a b='ü'/>".encode(), "<a b='ü'/>".encode("utf-16")):
        assert parse_xml(content, "a.xml", "").get("b") == "ü"


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
def test_what_is_no_plain_xml_is_refused_with_the_remedy(content: bytes) -> None:
    with pytest.raises(StorageError, match=r"^a\.xml: is corrupt \(.*\); copy it again$"):
        parse_xml(content, "a.xml", "copy it again")
