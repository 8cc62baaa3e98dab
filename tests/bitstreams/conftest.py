"""Fixtures that tests of the bitstreams share."""

from support.boards.built_projects import (
    archive,
    emitted,
    project,
    rtl_archive,
    rtl_emitted,
    rtl_project,
    rtl_vendor,
    vendor,
)
from support.boards.twins import (
    engine,
    implementation,
    on_twin,
    served_cpp,
    served_verilog,
    twin,
    ultrascale_project,
    verilog_project,
    zynq_project,
    zynq_twin,
)

__all__ = [
    "archive",
    "emitted",
    "engine",
    "implementation",
    "on_twin",
    "project",
    "rtl_archive",
    "rtl_emitted",
    "rtl_project",
    "rtl_vendor",
    "served_cpp",
    "served_verilog",
    "twin",
    "ultrascale_project",
    "vendor",
    "verilog_project",
    "zynq_project",
    "zynq_twin",
]
