# From the engine, as engine.tcl adds it, to a bitstream: vivado -mode batch -source tcl/bitstream.tcl, from the project folder. What comes
# out lies in build/results, named by the digest of what it is made from. Fails, and says why, on negative slack.
source tcl/hardware.tcl
source tcl/engine.tcl
source tcl/block_design.tcl

proc fail {text} {
    puts "ERROR: $text"
    exit 1
}

proc run_to {run step jobs} {
    # Synthesis has no steps to stop at.
    set stop [expr {$run eq "impl_1" ? [list -to_step $step] : {}}]
    launch_runs $run {*}$stop -jobs $jobs
    wait_on_run $run
    set status [get_property STATUS [get_runs $run]]
    # A run that ends with negative slack is complete as well; check_timing says by how much.
    if {![string match "$step Complete*" $status]} {
        fail "$run: $step did not finish ($status)"
    }
}

# Slacks in ns as lines "name value"; the names are those of bitstreams/building/reports.py.
proc write_implementation {path design part} {
    set run [get_runs impl_1]
    set file [open $path w]
    puts $file "design $design"
    puts $file "part $part"
    puts $file "vivado [version -short]"
    foreach name {WNS TNS WHS THS} {
        puts $file "[string tolower $name]_ns [get_property STATS.$name $run]"
    }
    close $file
}

proc check_timing {clock_mhz} {
    foreach {name kind remedy} {
        WNS setup "; take a slower clock (codesign build --clock-mhz) or a smaller array"
        WHS hold ", which no slower clock mends; take a smaller array or another release of Vivado"
    } {
        set slack [get_property STATS.$name [get_runs impl_1]]
        if {![string is double -strict $slack]} {
            fail "timing: no $kind slack was reported"
        }
        if {$slack < 0} {
            fail "timing: $kind slack is $slack ns at $clock_mhz MHz$remedy"
        }
    }
}

set jobs 4
set file [open hardware.sha256]
set digest [string trim [read $file]]
close $file
set design engine_[string range $digest 0 7]
set results build/results
file mkdir $results/reports

create_project -force vivado build/vivado -part $part
add_engine
update_compile_order -fileset sources_1

set hardware {}
foreach name {
    family clock_mhz clock_source control_port memory_ports memory_bits
    engine_address identity_address window_bytes preset
} {
    dict set hardware $name [set $name]
}
build_block_design $design $hardware
set_property synth_checkpoint_mode $synth_checkpoint_mode [get_files $design.bd]
generate_target all [get_files $design.bd]
make_wrapper -files [get_files $design.bd] -import -top
set_property top ${design}_wrapper [current_fileset]

# The header of the .bit then names the hardware too.
set constraints build/identity.xdc
set file [open $constraints w]
puts $file "set_property BITSTREAM.CONFIG.USERID 0x[string range $digest 0 7] \[current_design\]"
close $file
add_files -fileset constrs_1 -norecurse $constraints
update_compile_order -fileset sources_1

run_to synth_1 synth_design $jobs
run_to impl_1 route_design $jobs
open_run impl_1
report_timing_summary -file $results/reports/timing.rpt
report_utilization -file $results/reports/utilization.rpt
report_utilization -cells [get_cells ${design}_i/engine] -file $results/reports/utilization_engine.rpt
write_implementation $results/reports/implementation.txt $design $part
check_timing $clock_mhz

run_to impl_1 write_bitstream $jobs
file copy -force [get_property DIRECTORY [get_runs impl_1]]/${design}_wrapper.bit $results/$design.bit
set handoff [glob -nocomplain build/vivado/vivado.*/sources_1/bd/$design/hw_handoff/$design.hwh]
if {[llength $handoff] == 0} {
    fail "$design.hwh: not written by this Vivado"
}
file copy -force [lindex $handoff 0] $results/$design.hwh
write_hw_platform -fixed -include_bit -force -file $results/$design.xsa
exit
