import pickle

import pytest

from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import check_record
from hw_templates.operations import Operation


def test_codes_are_those_of_programs_written_before() -> None:
    codes = {operation.name: operation.code for operation in Operation}
    assert codes == {"CONV": 0, "DEPTHWISE": 1, "POOL": 2, "SCALE": 3, "MAX_POOL": 4}
    for name, code in codes.items():
        assert Operation.of_code(code) is Operation[name]
    with pytest.raises(ValueError, match="5 is not the code of an operation"):
        Operation.of_code(5)


def test_members_are_text_that_files_and_processes_pass_on() -> None:
    for operation in Operation:
        assert str(operation) == operation.name.lower()
        assert check_record(str(operation), Operation, "operation") is operation
        assert pickle.loads(pickle.dumps(operation)) is operation
    with pytest.raises(InvalidValueError, match=r"operation: must be one of conv, depthwise, .*, got 'deconv'"):
        check_record("deconv", Operation, "operation")


def test_every_operation_takes_weights_in_exactly_one_way() -> None:
    for operation in Operation:
        assert [operation.has_weights, operation.reads_gate, operation.is_weightless].count(True) == 1
        assert operation.has_weights or not operation.is_dense
