# C synthesis of the engine, for vitis_hls -f and vitis-run --mode hls --tcl, run from the project folder. Neither passes
# arguments on (vitis-run takes none), so build/options.tcl may set cosim to 1. The IP lies in build/hls/solution/impl/ip.
source tcl/hardware.tcl
set cosim 0
if {[file exists build/options.tcl]} {
    source build/options.tcl
}
set project [pwd]
set flags "-I$project/hls -std=c++17 -DVENDOR_HEADERS"
file mkdir build
cd build

open_project -reset hls
foreach path [lsort [glob $project/hls/*.cpp]] {
    add_files $path -cflags $flags
}
add_files -tb $project/tb/csim.cpp -cflags "$flags -I$project/tb"
set_top conv_engine
open_solution -reset solution -flow_target vivado
set_part $part
create_clock -period [format %.3f [expr {1000.0 / $clock_mhz}]]
# Of a period, what HLS leaves for routing.
set_clock_uncertainty 27%
# Two words a port's address, whatever the release's default: the register map counts on it.
config_interface -m_axi_addr64=true
csynth_design
if {$cosim} {
    cosim_design -argv "$project/program --images $project/program/images.bin --count 1"
}
export_design -format ip_catalog
exit
