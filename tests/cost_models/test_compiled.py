import ast
from pathlib import Path

import numpy as np

import cost_models
from cost_models import layer_table, mapper
from cost_models.compiled import SOURCES, record_dtype
from cost_models.layer_records import LAYER, LayerRecord

KERNELS = (mapper._search_all, layer_table._price_all)


def test_kernels_close_over_the_sources_or_they_would_outlive_a_change() -> None:
    for kernel in KERNELS:
        assert SOURCES in [cell.cell_contents for cell in kernel.py_func.__closure__]
    marked = [
        function.name
        for path in Path(cost_models.__file__).parent.glob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        and any(isinstance(mark, ast.Name) and mark.id == "kernel" for mark in function.decorator_list)
    ]
    assert sorted(marked) == sorted(kernel.py_func.__name__ for kernel in KERNELS)


def test_a_record_has_the_fields_that_its_class_annotates() -> None:
    class Record:
        size: float
        first: int
        is_last: bool

    assert record_dtype(Record) == np.dtype([("size", np.float64), ("first", np.int64), ("is_last", np.bool_)])
    assert LAYER.names == tuple(LayerRecord.__annotations__)
