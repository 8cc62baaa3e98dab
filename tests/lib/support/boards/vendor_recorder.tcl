# Stands for Vitis HLS and Vivado: knows the vendor commands that scripts may use and their options, writes every call to
# $env(RECORD) as a line of a JSON array, makes the files that the real command would, and refuses all else.
# Usage: tclsh vendor_recorder.tcl SCRIPT; settings in the environment: WNS, WHS, STATUS, and CONTENT, a folder with what
# the made files hold, by their names or endings.

proc setting {name default} {
    if {[info exists ::env($name)]} { return $::env($name) }
    return $default
}

set record [open $::env(RECORD) w]

proc write_call {words} {
    set quoted {}
    foreach word $words {
        lappend quoted "\"[string map {\\ \\\\ \" \\\" \n \\n \t \\t} $word]\""
    }
    puts $::record "\[[join $quoted {, }]\]"
    flush $::record
}

proc touch {path} {
    file mkdir [file dirname $path]
    close [open $path w]
    foreach name [list [file tail $path] any[file extension $path]] {
        if {[file exists [setting CONTENT /nowhere]/$name]} {
            file copy -force $::env(CONTENT)/$name $path
            return
        }
    }
}

# vendor NAME {options with a value} {options without} LEAST MOST BODY: body sees option(...) and $words.
proc vendor {name valued plain least most body} {
    proc $name args [string map [list @NAME $name @VALUED $valued @PLAIN $plain @LEAST $least @MOST $most @BODY $body] {
        write_call [linsert $args 0 @NAME]
        array set option {}
        set words {}
        for {set i 0} {$i < [llength $args]} {incr i} {
            set word [lindex $args $i]
            if {![string match {-[a-z]*} $word]} {
                lappend words $word
                continue
            }
            set parts [split $word =]
            set flag [lindex $parts 0]
            if {$flag in {@VALUED}} {
                if {[llength $parts] == 2} {
                    set option($flag) [lindex $parts 1]
                } else {
                    set option($flag) [lindex $args [incr i]]
                }
            } elseif {$flag in {@PLAIN}} {
                set option($flag) 1
            } else {
                error "@NAME: no option $flag"
            }
        }
        if {[llength $words] < @LEAST || [llength $words] > @MOST} {
            error "@NAME: [llength $words] arguments ($words)"
        }
        @BODY
    }]
}

proc unknown {name args} {
    error "$name: not a vendor command"
}

# --- Vitis HLS ---
vendor open_project {} {-reset} 1 1 { file mkdir [lindex $words 0] }
vendor open_solution {-flow_target} {-reset} 1 1 { set ::solution [lindex $words 0] }
vendor add_files {-cflags -fileset} {-tb -norecurse} 1 1 {
    foreach path [lindex $words 0] {
        if {![file exists $path]} { error "add_files: no $path" }
        set ::file_type($path) Verilog
    }
    return [lindex $words 0]
}
vendor set_top {} {} 1 1 {}
vendor set_part {} {} 1 1 {}
vendor create_clock {-period -name} {} 0 1 {}
vendor set_clock_uncertainty {} {} 1 1 {}
vendor config_interface {-m_axi_addr64} {} 0 0 {}
vendor csynth_design {} {} 0 0 { touch hls/$::solution/syn/report/csynth.xml }
vendor cosim_design {-argv} {} 0 0 { touch hls/$::solution/sim/report/conv_engine_cosim.rpt }
vendor export_design {-format} {} 0 0 {
    touch hls/$::solution/impl/ip/component.xml
    touch hls/$::solution/impl/ip/drivers/conv_engine_v1_0/src/xconv_engine_hw.h
}

# --- Vivado: project ---
vendor create_project {-part} {-force} 2 2 { file mkdir [lindex $words 1] }
vendor current_project {} {} 0 0 { return project }
vendor current_fileset {} {} 0 0 { return sources_1 }
vendor update_ip_catalog {} {} 0 0 {}
vendor update_compile_order {-fileset} {} 0 0 {}
vendor version {} {-short} 0 0 { return 2023.2 }
vendor get_files {} {} 1 1 { return [lindex $words 0] }
vendor get_runs {} {} 1 1 { return [lindex $words 0] }
vendor set_property {} {-dict} 2 3 {
    if {[lindex $words 0] eq "file_type"} {
        foreach path [lindex $words 2] { set ::file_type($path) [lindex $words 1] }
    }
}
vendor get_property {} {} 2 2 {
    switch -- [lindex $words 0] {
        STATUS { return [setting STATUS "$::reached Complete!"] }
        DIRECTORY { return build/vivado/vivado.runs/[lindex $words 1] }
        STATS.WNS { return [setting WNS 0.125] }
        STATS.TNS { return 0.000 }
        STATS.WHS { return [setting WHS 0.021] }
        STATS.THS { return 0.000 }
        default { error "get_property: no [lindex $words 0]" }
    }
}
vendor launch_runs {-to_step -jobs} {} 1 1 {
    set ::reached [expr {[info exists option(-to_step)] ? $option(-to_step) : "synth_design"}]
    if {$::reached eq "write_bitstream"} {
        touch build/vivado/vivado.runs/impl_1/${::design_name}_wrapper.bit
    }
}
vendor wait_on_run {} {} 1 1 {}
vendor open_run {} {} 1 1 {}
vendor get_cells {} {} 1 1 { return [lindex $words 0] }
vendor report_timing_summary {-file} {} 0 0 { touch $option(-file) }
vendor report_utilization {-file -cells} {} 0 0 { touch $option(-file) }
vendor write_hw_platform {-file} {-fixed -include_bit -force} 0 0 { touch $option(-file) }
vendor generate_target {} {} 2 2 {
    touch build/vivado/vivado.gen/sources_1/bd/$::design_name/hw_handoff/$::design_name.hwh
}
vendor make_wrapper {-files} {-import -top} 0 0 {}

# --- Vivado: block design ---
set catalogue {
    xilinx.com:ip:processing_system7:5.5 xilinx.com:ip:zynq_ultra_ps_e:3.3 xilinx.com:ip:zynq_ultra_ps_e:3.10
    xilinx.com:ip:proc_sys_reset:5.0 xilinx.com:ip:smartconnect:1.0 xilinx.com:hls:conv_engine:1.0
}
vendor get_ipdefs {} {-all} 1 1 {
    set found {}
    foreach vlnv $::catalogue {
        if {[string match [lindex $words 0] $vlnv]} { lappend found $vlnv }
    }
    return $found
}
vendor create_bd_design {} {} 1 1 { set ::design_name [lindex $words 0] }
# A module is found in the files that were added, none of them SystemVerilog; its segments have other names than an IP's.
vendor create_bd_cell {-type -vlnv -reference} {} 1 1 {
    set cell /[lindex $words 0]
    set ::is_module($cell) [expr {$option(-type) eq "module"}]
    if {$::is_module($cell)} {
        set file rtl/$option(-reference).v
        if {![info exists ::file_type($file)] || $::file_type($file) ne "Verilog"} {
            error "create_bd_cell: no Verilog module $option(-reference)"
        }
    }
    return $cell
}
proc of_module {pin} { return $::is_module([file dirname $pin]) }
vendor create_bd_intf_port {-mode -vlnv} {} 1 1 {}
vendor get_bd_pins {} {} 1 1 { return /[lindex $words 0] }
vendor get_bd_intf_pins {} {} 1 1 { return /[lindex $words 0] }
vendor get_bd_intf_ports {} {} 1 1 { return /[lindex $words 0] }
vendor connect_bd_net {} {} 2 2 {}
vendor connect_bd_intf_net {} {} 2 2 {}
vendor get_bd_addr_spaces {-of_objects} {} 0 0 {
    regsub {/(ps)/M_AXI.*} $option(-of_objects) {/\1/Data} space
    if {![of_module $option(-of_objects)]} { regsub {/engine/m_axi} $space {/engine/Data_m_axi} space }
    return $space
}
vendor get_bd_addr_segs {-of_objects} {} 0 0 {
    set pin $option(-of_objects)
    if {[regexp {^/ps/S_AXI_(HPC?\d)_FPD$} $pin -> port]} {
        return [list /ps/$port/${port}_DDR_LOW /ps/$port/${port}_DDR_HIGH /ps/$port/${port}_LPS_OCM /ps/$port/${port}_QSPI]
    }
    if {[regexp {^/ps/S_AXI_(HP\d)$} $pin -> port]} { return $pin/${port}_DDR_LOWOCM }
    return $pin/[expr {[of_module $pin] ? "reg0" : "Reg"}]
}
vendor assign_bd_address {-offset -range -target_address_space} {} 1 1 {}
vendor exclude_bd_addr_seg {-target_address_space} {} 1 1 {}
vendor validate_bd_design {} {} 0 0 {}
vendor save_bd_design {} {} 0 0 {}

source [lindex $argv 0]
