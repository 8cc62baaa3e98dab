# The block design: the processor, the engine on four memory ports, as engine.tcl makes it, and the identity registers. No
# version of an IP is named, the newest in the catalogue is taken, so that every Vivado from 2020.2 on builds it.

proc newest {name} {
    set found [lsort -dictionary [get_ipdefs -all "*:*:$name:*"]]
    if {[llength $found] == 0} {
        error "$name: not in the IP catalogue"
    }
    return [lindex $found end]
}

proc wire {from args} {
    foreach to $args {
        connect_bd_net [get_bd_pins $from] [get_bd_pins $to]
    }
}

proc plug {from to} {
    connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to]
}

# Each of these makes the cell ps with its preset and answers a dictionary: names of its clock and reset, of its control
# port's clock, of its interrupt input, and of the interfaces and clocks of its memory ports, in the order of $memory_ports.

proc make_zynq_7000 {preset clock_source clock_mhz memory_ports memory_bits} {
    set settings [concat $preset [list \
        CONFIG.PCW_USE_M_AXI_GP0 1 \
        CONFIG.PCW_FPGA_FCLK0_ENABLE 1 \
        CONFIG.PCW_EN_CLK0_PORT 1 \
        CONFIG.PCW_EN_RST0_PORT 1 \
        CONFIG.PCW_USE_FABRIC_INTERRUPT 1 \
        CONFIG.PCW_IRQ_F2P_INTR 1 \
        CONFIG.PCW_FCLK0_PERIPHERAL_CLKSRC $clock_source \
        CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $clock_mhz]]
    set interfaces {}
    set clocks {}
    foreach port $memory_ports {
        lappend settings CONFIG.PCW_USE_S_AXI_$port 1 CONFIG.PCW_S_AXI_${port}_DATA_WIDTH $memory_bits
        lappend interfaces ps/S_AXI_$port
        lappend clocks ps/S_AXI_${port}_ACLK
    }
    set ps [create_bd_cell -type ip -vlnv [newest processing_system7] ps]
    set_property -dict $settings $ps
    foreach {name type} {
        DDR xilinx.com:interface:ddrx_rtl:1.0
        FIXED_IO xilinx.com:display_processing_system7:fixedio_rtl:1.0
    } {
        create_bd_intf_port -mode Master -vlnv $type $name
        connect_bd_intf_net [get_bd_intf_ports $name] [get_bd_intf_pins ps/$name]
    }
    return [dict create clock ps/FCLK_CLK0 reset ps/FCLK_RESET0_N control_clock ps/M_AXI_GP0_ACLK \
        interrupt ps/IRQ_F2P interfaces $interfaces clocks $clocks]
}

proc make_zynq_ultrascale {preset clock_source clock_mhz memory_ports memory_bits} {
    # How the PS block counts its slave ports (AMD PG201).
    set numbers {HPC0 0 HPC1 1 HP0 2 HP1 3 HP2 4 HP3 5}
    set settings [concat $preset [list \
        CONFIG.PSU__USE__M_AXI_GP0 1 \
        CONFIG.PSU__USE__M_AXI_GP1 0 \
        CONFIG.PSU__USE__M_AXI_GP2 0 \
        CONFIG.PSU__MAXIGP0__DATA_WIDTH 32 \
        CONFIG.PSU__USE__FABRIC__RST 1 \
        CONFIG.PSU__USE__IRQ0 1 \
        CONFIG.PSU__FPGA_PL0_ENABLE 1 \
        CONFIG.PSU__CRL_APB__PL0_REF_CTRL__SRCSEL $clock_source \
        CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $clock_mhz]]
    set interfaces {}
    set clocks {}
    foreach port $memory_ports {
        set number [dict get $numbers $port]
        lappend settings CONFIG.PSU__USE__S_AXI_GP$number 1 CONFIG.PSU__SAXIGP${number}__DATA_WIDTH $memory_bits
        lappend interfaces ps/S_AXI_${port}_FPD
        lappend clocks ps/saxi[string tolower $port]_fpd_aclk
    }
    set ps [create_bd_cell -type ip -vlnv [newest zynq_ultra_ps_e] ps]
    set_property -dict $settings $ps
    return [dict create clock ps/pl_clk0 reset ps/pl_resetn0 control_clock ps/maxihpm0_fpd_aclk \
        interrupt ps/pl_ps_irq0 interfaces $interfaces clocks $clocks]
}

# A port of the engine sees the DDR behind its memory port, and nothing else that lies there.
proc map_memory {port interface} {
    set space [get_bd_addr_spaces -of_objects [get_bd_intf_pins $port]]
    foreach segment [get_bd_addr_segs -of_objects [get_bd_intf_pins $interface]] {
        if {[string match *DDR* $segment]} {
            assign_bd_address -target_address_space $space $segment
        } else {
            exclude_bd_addr_seg -target_address_space $space $segment
        }
    }
}

proc map_registers {address window_bytes interface} {
    upvar 1 control_port control_port
    assign_bd_address -offset $address -range $window_bytes \
        -target_address_space [get_bd_addr_spaces -of_objects [get_bd_intf_pins ps/$control_port]] \
        [get_bd_addr_segs -of_objects [get_bd_intf_pins $interface]]
}

proc build_block_design {design hardware} {
    dict with hardware {}
    create_bd_design $design
    set maker [expr {$family eq "zynq-7000" ? "make_zynq_7000" : "make_zynq_ultrascale"}]
    set ps [$maker $preset $clock_source $clock_mhz $memory_ports $memory_bits]
    set engine [make_engine]
    create_bd_cell -type module -reference engine_id identity
    create_bd_cell -type ip -vlnv [newest proc_sys_reset] reset
    set control [create_bd_cell -type ip -vlnv [newest smartconnect] control]
    set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 2} $control

    wire [dict get $ps clock] [dict get $ps control_clock] reset/slowest_sync_clk control/aclk identity/aclk \
        {*}[dict get $engine clocks]
    wire [dict get $ps reset] reset/ext_reset_in
    wire reset/peripheral_aresetn control/aresetn identity/aresetn {*}[dict get $engine resets]
    wire engine/interrupt [dict get $ps interrupt]
    plug ps/$control_port control/S00_AXI
    plug control/M00_AXI engine/s_axi_control
    plug control/M01_AXI identity/s_axi
    map_registers $engine_address $window_bytes engine/s_axi_control
    map_registers $identity_address $window_bytes identity/s_axi

    # One connection a port: no port of the engine waits for another before the memory controller.
    foreach port {ifmap weights residual ofmap} \
        interface [dict get $ps interfaces] clock [dict get $ps clocks] {
        set memory [create_bd_cell -type ip -vlnv [newest smartconnect] memory_$port]
        set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1} $memory
        wire [dict get $ps clock] memory_$port/aclk $clock
        wire reset/peripheral_aresetn memory_$port/aresetn
        plug engine/m_axi_$port memory_$port/S00_AXI
        plug memory_$port/M00_AXI $interface
        map_memory engine/m_axi_$port $interface
    }
    validate_bd_design
    save_bd_design
}
