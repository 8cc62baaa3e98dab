"""Spaces by name: those that come with the package, those of other packages, and a user's own TOML files."""

from importlib.resources import files
from typing import cast

from codesign.supernet.spaces.mobile import MobileSpace
from codesign.supernet.spaces.resnet import ResNetSpace
from codesign.supernet.spaces.space import Space
from hw_templates.foundation.catalogue import Catalogue
from hw_templates.foundation.errors import UnknownNameError
from hw_templates.foundation.json_records import check_record

_FAMILIES: dict[str, type[Space]] = {"mobile": MobileSpace, "resnet": ResNetSpace}


def _parse(name: str, table: dict[str, object]) -> Space:
    family = table.get("family")
    if family not in _FAMILIES:
        raise UnknownNameError("space.family", cast(str, family), _FAMILIES)
    fields = {field: value for field, value in table.items() if field != "family"}
    return check_record({**fields, "name": name}, _FAMILIES[family], "space")


SPACES = Catalogue[Space]("space", files("codesign.supernet.spaces"), "codesign.spaces", _parse)
space_names, load_space = SPACES.names, SPACES.load
