"""The pair that was emitted last, read back from a run folder."""

from codesign.run.folder import Run, read_json
from codesign.run.records import EmittedRecord
from codesign.run.searched import Searched, load_searched
from codesign.search.joint_space import Pair
from codesign.templates.template import EmittedPair, Template
from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.json_records import check_record, reading


def read_emitted(run: Run, template: Template) -> EmittedPair:
    """Return what was emitted with a template last.

    Raises:
        StorageError: nothing was, or not since the last search, or its record is damaged.
    """
    searched = load_searched(run, template=template)
    return emitted_pair(searched, emitted_record(searched))


def emitted_record(searched: Searched) -> EmittedRecord:
    """Return the record of what was emitted of a search.

    Raises:
        StorageError: nothing was, or its record is damaged.
    """
    results = searched.results
    record = read_json(results.emitted, EmittedRecord)
    found = (record.template, record.winner.board, record.winner.study)
    if found != (searched.template.name, searched.board.name, searched.study):
        raise StorageError(
            f"{results.emitted}: of another search than {searched.study}; run `codesign emit {results.argument}` first"
        )
    return record


def emitted_pair(searched: Searched, record: EmittedRecord) -> EmittedPair:
    """Return the pair of a record.

    Raises:
        StorageError: the record is damaged.
    """
    results, space = searched.results, searched.problem.joint.space
    with reading(results.emitted, f"run `codesign emit {results.argument}` again"):
        subnet = space.parse_subnet(record.winner.subnet)
        space.check(subnet)
        accelerator = check_record(record.winner.accelerator, searched.template.accelerator, "emitted.accelerator")
    return EmittedPair(
        pair=Pair(subnet, accelerator),
        problem=searched.problem,
        precision=record.precision,
        quantised=record.quantised,
        results=results,
    )
