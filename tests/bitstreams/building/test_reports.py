"""Reports of the forms that the versions write, in samples of our own; sections of them missing, numbers unknown."""

from pathlib import Path

import pytest
from support.boards.vendor_tcl import run_script, write_rendered
from support.mutations import drive, mutated_text

from bitstreams.building.reports import (
    CoSimulation,
    Synthesis,
    Timing,
    Utilisation,
    number,
    parse_cosim,
    parse_csynth,
    parse_export,
    parse_implementation,
    parse_timing,
    parse_utilisation,
    read_report,
)
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import StorageError
from hw_templates.project.render import render

CSYNTH = """<?xml version="1.0" encoding="UTF-8"?>
<profile>
<section name = "Vitis HLS Report for 'conv_engine'" level="0"><item name = "Version">2023.2</item></section>
<ReportVersion><Version>2023.2</Version></ReportVersion>
<UserAssignments>
<unit>ns</unit>
<ProductFamily>zynq</ProductFamily>
<Part>xc7z020-clg400-1</Part>
<TopModelName>conv_engine</TopModelName>
<TargetClockPeriod>8.00</TargetClockPeriod>
<ClockUncertainty>2.16</ClockUncertainty>
</UserAssignments>
<PerformanceEstimates>
<PipelineType>no</PipelineType>
<SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>5.840</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency>
<unit>clock cycles</unit>
<Best-caseLatency>undef</Best-caseLatency>
<Average-caseLatency>undef</Average-caseLatency>
<Worst-caseLatency>undef</Worst-caseLatency>
<Interval-min>undef</Interval-min>
</SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates>
<Resources><BRAM_18K>120</BRAM_18K><DSP>150</DSP><FF>40321</FF><LUT>38,512</LUT><URAM>0</URAM></Resources>
<AvailableResources><BRAM_18K>280</BRAM_18K><DSP>220</DSP><FF>106400</FF><LUT>53200</LUT></AvailableResources>
</AreaEstimates>
</profile>
"""

EXPORT = """<profile>
  <RunData><RUN_TYPE>impl</RUN_TYPE><VIVADO_VERSION>v.2024.2</VIVADO_VERSION></RunData>
  <TimingReport>
    <TargetClockPeriod>8.000</TargetClockPeriod>
    <AchievedClockPeriod>7.412</AchievedClockPeriod>
    <WNS_FINAL>0.588</WNS_FINAL><TNS_FINAL>0.000</TNS_FINAL>
    <TIMING_MET>TRUE</TIMING_MET>
  </TimingReport>
  <AreaReport>
    <Resources><BRAM>118</BRAM><CLB>0</CLB><DSP>148</DSP><FF>39000</FF><LUT>30111</LUT><URAM>0</URAM></Resources>
    <AvailableResources><BRAM>280</BRAM><DSP>220</DSP></AvailableResources>
  </AreaReport>
  <GeneralInfo NAME="General Information"><item NAME="Target device" VALUE="xc7z020-clg400-1"/></GeneralInfo>
</profile>
"""

COSIM = """
+----------+----------+-----------------------------------------------+-----------------------+----------------------+
|          |          |             Latency(Clock Cycles)             | Interval(Clock Cycles)| Total Execution Time |
+   RTL    +  Status  +-----------------------------------------------+-----------------------+    (Clock Cycles)    +
|          |          |      min      |      avg      |      max      |  min  |  avg  |  max  |                      |
+----------+----------+-----------------------------------------------+-----------------------+----------------------+
|      VHDL|        NA|             NA|             NA|             NA|     NA|     NA|     NA|                    NA|
|   Verilog|      Pass|          12000|          12345|          13000|     NA|     NA|     NA|                 12345|
+----------+----------+-----------------------------------------------+-----------------------+----------------------+
"""

COSIM_2020 = """
|   RTL    |  Status  |  min  |  avg  |  max  |  min  |  avg  |  max  |
|      VHDL|        NA|     NA|     NA|     NA|     NA|     NA|     NA|
|   Verilog|      Fail|      ?|      ?|      ?|     NA|     NA|     NA|
"""

TIMING = """
------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------
     -0.310       -4.500                     17               124537        0.010        0.000                      0


| Intra Clock Table
Clock             WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)
-----             -------      -------  ---------------------  -------------------      -------      -------
clk_fpga_0          9.999        0.000                      0               124537        9.010        0.000
"""

UTILISATION_7 = """
1. Slice Logic
+----------------------------+-------+-------+-----------+-------+
|          Site Type         |  Used | Fixed | Available | Util% |
+----------------------------+-------+-------+-----------+-------+
| Slice LUTs                 | 30111 |     0 |     53200 | 56.60 |
|   LUT as Logic             | 29000 |     0 |     53200 | 54.51 |
| Slice Registers            | 39000 |     0 |    106400 | 36.65 |
3. Memory
| Block RAM Tile    |   59.5 |     0 |       140 | 42.50 |
|   RAMB36/FIFO*    |     50 |     0 |       140 | 35.71 |
4. DSP
| DSPs           |  148 |     0 |       220 | 67.27 |
"""

UTILISATION_US = """
| CLB LUTs*                  | 70111 |     0 |          0 |    230400 | 30.43 |
| CLB Registers              | 99000 |     0 |          0 |    460800 | 21.48 |
| Block RAM Tile    |  120 |     0 |          0 |       312 | 38.46 |
| URAM              |   16 |     0 |          0 |        96 | 16.67 |
| DSPs      |  900 |     0 |          0 |      1728 | 52.08 |
"""


def content(text: str) -> tuple[bytes, str]:
    return text.encode(), "report"


def test_csynth() -> None:
    assert read_report(parse_csynth, *content(CSYNTH)) == Synthesis(
        estimated_clock_ns=5.84,
        utilisation=Utilisation(dsp=150, bram_18k=120, uram=0, lut=38512, ff=40321),
    )


def test_csynth_of_other_versions_and_without_sections() -> None:
    # 2020.1 and before write DSP48E; a device without UltraRAM may have no such field.
    older = CSYNTH.replace("<DSP>150</DSP>", "<DSP48E>150</DSP48E>").replace("<URAM>0</URAM>", "")
    assert read_report(parse_csynth, *content(older)).utilisation == Utilisation(
        dsp=150, bram_18k=120, uram=None, lut=38512, ff=40321
    )
    assert read_report(parse_csynth, *content("<profile/>")) == Synthesis()


def test_export() -> None:
    assert read_report(parse_export, *content(EXPORT)) == Utilisation(
        dsp=148, bram_18k=118, uram=0, lut=30111, ff=39000
    )
    assert read_report(parse_export, *content("<profile><TimingReport/></profile>")) == Utilisation()


def test_cosim(tmp_path: Path) -> None:
    assert read_report(parse_cosim, *content(COSIM)) == CoSimulation(passed=True, latency_cycles=12345)
    assert read_report(parse_cosim, *content(COSIM_2020)) == CoSimulation(passed=False, latency_cycles=None)
    assert read_report(parse_cosim, *content("nothing\n")) == CoSimulation()


def test_timing(tmp_path: Path) -> None:
    assert read_report(parse_timing, *content(TIMING)) == Timing(-0.31, -4.5, 0.01, 0.0)
    unknown = TIMING.replace("     -0.310       -4.500", "         NA           NA")
    assert read_report(parse_timing, *content(unknown)) == Timing(None, None, 0.01, 0.0)
    assert read_report(parse_timing, *content(TIMING[: TIMING.index("    -------")])) == Timing()


def test_utilisation(tmp_path: Path) -> None:
    assert read_report(parse_utilisation, *content(UTILISATION_7)) == Utilisation(
        dsp=148, bram_18k=119, uram=None, lut=30111, ff=39000
    )
    assert read_report(parse_utilisation, *content(UTILISATION_US)) == Utilisation(
        dsp=900, bram_18k=240, uram=16, lut=70111, ff=99000
    )
    assert read_report(parse_utilisation, *content("| Slice LUTs | ? | 0 |\n")) == Utilisation()


def test_what_the_tcl_writes_is_read_back(tmp_path: Path) -> None:
    write_rendered(
        render(
            Accelerator(
                pe_rows=16,
                pe_cols=8,
                pe_pixels=3,
                pack=2,
                ifmap_kib=16,
                weight_kib=8,
                ofmap_kib=4,
                axi_bits=64,
                clock_mhz=125,
            ),
            load_board("zcu104"),
        ),
        tmp_path,
    )
    (tmp_path / "build/hls/solution/impl/ip").mkdir(parents=True)
    run_script(tmp_path, "tcl/bitstream.tcl", WNS="-0.5")
    found = parse_implementation((tmp_path / "build/results/reports/implementation.txt").read_bytes())
    assert found == Timing(-0.5, 0.0, 0.021, 0.0)


@pytest.mark.parametrize("text", [None, "", "undef", "?", "NA", "N/A", "-", "n/a ns"])
def test_every_way_of_saying_nothing_is_none(text: str | None) -> None:
    assert number(text) is None


@pytest.mark.parametrize("parse", [parse_csynth, parse_export])
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
def test_what_is_no_plain_xml_is_refused_with_its_name_and_the_remedy(parse, content: bytes) -> None:
    with pytest.raises(StorageError, match=r"^report: is corrupt \(.*\); run the build again$"):
        read_report(parse, content, "report")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marked_and_other_encodings_are_read(encoding: str) -> None:
    assert read_report(parse_export, EXPORT.strip().encode(encoding), "report").lut == 30111


IMPLEMENTATION = "vivado v2023.2\npart xczu7ev-ffvc1156-2-e\nwns_ns 0.125\ntns_ns 0.0\nwhs_ns 0.021\nths_ns 0.0\n"


@pytest.mark.parametrize(
    ("parse", "text", "field"),
    [
        (
            parse_csynth,
            CSYNTH.replace("<DSP>150", "<DSP>1e999"),
            "utilisation.dsp: must be a number, zero or more, got inf",
        ),
        (parse_csynth, CSYNTH.replace("38,512", "-1"), r"utilisation.lut: .*, got -1.0"),
        (parse_csynth, CSYNTH.replace("5.84", "-5.84"), "synthesis.estimated_clock_ns"),
        (parse_csynth, CSYNTH.replace("5.84", "9" * 400), "synthesis.estimated_clock_ns"),
        (parse_export, EXPORT.replace("30111", "-30111"), "utilisation.lut: must be a number, zero or more"),
        (parse_cosim, COSIM.replace("12345", "-12345"), "cosimulation.latency_cycles"),
        (parse_timing, TIMING.replace("-0.310", "1e999 "), "timing.wns_ns: must be a finite number, got inf"),
        (parse_utilisation, UTILISATION_7.replace("30111", "-30111"), "utilisation.lut"),
        (parse_implementation, IMPLEMENTATION.replace("0.021", "1e999"), "timing.whs_ns"),
    ],
)
def test_a_number_that_cannot_be_is_refused_with_its_field(parse, text: str, field: str) -> None:
    with pytest.raises(StorageError, match=f"^report: {field}.*; run the build again$"):
        read_report(parse, *content(text))


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_csynth, CSYNTH),
        (parse_export, EXPORT),
        (parse_cosim, COSIM),
        (parse_timing, TIMING),
        (parse_utilisation, UTILISATION_7),
        (parse_implementation, IMPLEMENTATION),
    ],
)
def test_any_spoilt_report_is_read_or_refused_in_one_line(parse, text: str) -> None:
    accepted, refused = drive(lambda spoilt: read_report(parse, spoilt, "report"), mutated_text(text, 2_000))
    assert accepted > 100
    assert refused > 5
