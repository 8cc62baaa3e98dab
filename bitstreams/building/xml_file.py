"""XML that other tools wrote, read without trusting it: no entities, no external references."""

from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from hw_templates.foundation.errors import StorageError


def parse_xml(content: bytes, source: object, remedy: str) -> Element:
    """Return the root element of a file's content.

    Args:
        content: of the file.
        source: the file; the message begins with it.
        remedy: what to do about a corrupt file, in the error's words.

    Raises:
        StorageError: it is no XML, or holds entities.
    """
    try:
        root: Element = fromstring(content)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StorageError(f"{source}: is corrupt ({reason}); {remedy}") from error
    return root
