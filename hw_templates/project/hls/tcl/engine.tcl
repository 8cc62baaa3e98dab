# The engine as C synthesis left it: an IP, and beside it a counter of cycles that it looks at.

# Each IP is synthesised by itself, as Vivado does by default.
set synth_checkpoint_mode Hierarchical

proc add_engine {} {
    set ip [glob -nocomplain build/hls/solution/impl/ip build/hls/hls/impl/ip]
    if {[llength $ip] == 0} {
        fail "build/hls: no IP of the engine; run csynth first"
    }
    set_property ip_repo_paths $ip [current_project]
    update_ip_catalog
    add_files -norecurse {rtl/engine_id.v rtl/digest.v rtl/cycle_counter.v}
}

# Makes the cell engine and answers a dictionary: names of its clocks and of its resets.
proc make_engine {} {
    create_bd_cell -type ip -vlnv [newest conv_engine] engine
    create_bd_cell -type module -reference cycle_counter counter
    # Who reads which: enum Clock of hls/conv_engine.h.
    foreach stage {0 1 2 3 4 5 6} {
        wire counter/cycles engine/clocks_$stage
    }
    return {clocks {engine/ap_clk counter/aclk} resets {engine/ap_rst_n counter/aresetn}}
}
