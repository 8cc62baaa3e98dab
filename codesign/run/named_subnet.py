"""The subnet that a user names: an end of a space, or one in a JSON file."""

from pathlib import Path

from codesign.supernet.spaces.space import Space, Subnet
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import check_record, read_json, reading

ENDS = ("largest", "smallest")
_EXPECTED = "largest, smallest, or a JSON file with a subnet, such as winner.json or project.json of a run"


def named_subnet(space: Space, name: str) -> Subnet:
    """Return the subnet of ``space`` called ``name``.

    Args:
        space: the subnet must be one of its.
        name: ``largest``, ``smallest`` or a path. The file holds the subnet alone, or under ``subnet`` as
            ``winner.json`` does, or so under ``origin`` as ``project.json`` does.

    Raises:
        InvalidValueError: no such file, or the subnet is not of the space.
        StorageError: the file holds no subnet.
    """
    if name in ENDS:
        return space.largest() if name == "largest" else space.smallest()
    path = Path(name)
    if not path.is_file():
        raise InvalidValueError("subnet", name, _EXPECTED)
    record = read_json(path, dict[str, object], f"name {_EXPECTED}")
    with reading(path, f"name {_EXPECTED}"):
        for entry in ("origin", "subnet"):
            record = check_record(record.get(entry, record), dict[str, object], entry)
        subnet = space.parse_subnet(record)
    space.check(subnet)
    return subnet
