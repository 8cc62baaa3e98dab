"""XML that other tools wrote, read without trusting it: no entities, no external references."""

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from hw_templates.errors import StorageError


def read_xml(path: Path, remedy: str) -> Element:
    """The root element of a file.

    Args:
        remedy: what to do about a corrupt file, in the error's words.

    Raises:
        StorageError: it cannot be read, or is no XML.
    """
    try:
        root: Element = fromstring(path.read_bytes())
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise StorageError(f"{path}: is corrupt ({error}); {remedy}") from error
    return root
