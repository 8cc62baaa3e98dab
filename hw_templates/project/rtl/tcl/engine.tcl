# The engine in Verilog: a module of the block design, like the identity registers.

# All is synthesised at once: what is synthesised by itself does not see the headers of the engine.
set synth_checkpoint_mode None

proc add_engine {} {
    # A block design takes no module of SystemVerilog, and a macro of the engine joins names, which only SystemVerilog has.
    set modules {rtl/engine_axi.v rtl/engine_id.v}
    set others {}
    foreach path [lsort [glob rtl/*.v]] {
        if {$path ni $modules} {
            lappend others $path
        }
    }
    add_files -norecurse $modules
    set_property file_type SystemVerilog [add_files -norecurse $others]
    add_files -norecurse [lsort [glob rtl/*.vh]]
    set_property include_dirs [list [file normalize rtl]] [current_fileset]
}

# Makes the cell engine and answers a dictionary: names of its clocks and of its resets.
proc make_engine {} {
    create_bd_cell -type module -reference engine_axi engine
    return {clocks engine/aclk resets engine/aresetn}
}
