"""Scripts for Vivado, which Mintaka neither brings nor runs: a project, and an IP of the design with AXI."""

from __future__ import annotations

from collections.abc import Sequence

from mintaka_hw.quoting import tcl_comment, tcl_word
from mintaka_hw.targets.family import Project

HEADER = """# {what}
# Written by Mintaka, which has not run it: Vivado is no part of its tools. Usage:
#   vivado -mode batch -source {name}
set here [file dirname [file normalize [info script]]]
"""


def project_script(project: Project, name: str) -> str:
    """The Tcl of a project, in a script of that name: synthesis, placement, routing, bitstream and reports."""
    top = project.top
    return (
        HEADER.format(what=f"{top} on {tcl_comment(project.board)}: from Verilog to {top}.bit", name=name)
        + f"""
create_project {top} $here/project -part {tcl_word(project.order)} -force
add_files -norecurse {_listed(project.files)}
add_files -fileset constrs_1 -norecurse [list $here/{tcl_word(project.pins)}]
set_property top {top} [current_fileset]
update_compile_order -fileset sources_1

launch_runs impl_1 -to_step write_bitstream
wait_on_run impl_1
if {{[get_property PROGRESS [get_runs impl_1]] ne "100%"}} {{ error "implementation of {top} failed" }}

open_run impl_1
report_timing_summary -file $here/{top}_timing.txt
report_utilization -hierarchical -file $here/{top}_utilization.txt
foreach kind {{setup hold}} {{
  set slack [get_property SLACK [get_timing_paths -max_paths 1 -$kind]]
  if {{$slack eq ""}} {{ error "Vivado timed no path ($kind)" }}
  if {{$slack < 0}} {{ error "{project.clock_hz} Hz is missed by [expr {{-$slack}}] ns ($kind): no {top}.bit" }}
}}
file copy -force $here/project/{top}.runs/impl_1/{top}.bit $here/{top}.bit
"""
    )


def ip_script(project: Project, name: str) -> str:
    """The Tcl, in a script of that name, that packages the design with `--host axi` as an IP for block designs.

    The interfaces' names are those of `mintaka_hw.host.axi`.
    """
    top = project.ip_top
    return (
        HEADER.format(what=f"{top} as an IP: AXI4-Stream in and out, AXI4-Lite registers, interrupt", name=name)
        + f"""
create_project {top}_ip $here/project_ip -part {tcl_word(project.order)} -force
add_files -norecurse {_listed(project.ip_files)}
set_property top {top} [current_fileset]
update_compile_order -fileset sources_1

ipx::package_project -root_dir $here/ip -vendor mintaka -library user -taxonomy /UserIP -import_files -force
set core [ipx::current_core]
set_property name {top} $core
set_property display_name {top} $core
set_property version 1.0 $core
# The Verilog's attributes say all of this; what Vivado did not take from them is said again.
foreach {{port kind}} {{clk clock rst reset}} {{
  if {{[llength [ipx::get_bus_interfaces -quiet $port -of_objects $core]] == 0}} {{
    ipx::infer_bus_interface $port xilinx.com:signal:${{kind}}_rtl:1.0 $core
  }}
}}
set reset [ipx::get_bus_interfaces rst -of_objects $core]
if {{[llength [ipx::get_bus_parameters -quiet POLARITY -of_objects $reset]] == 0}} {{
  ipx::add_bus_parameter POLARITY $reset
}}
set_property value ACTIVE_HIGH [ipx::get_bus_parameters POLARITY -of_objects $reset]
foreach bus {{s_axis m_axis s_axil}} {{
  if {{[llength [ipx::get_bus_interfaces $bus -of_objects $core]] != 1}} {{ error "Vivado found no interface $bus" }}
  ipx::associate_bus_interfaces -busif $bus -clock clk $core
}}
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
"""
    )


def _listed(files: Sequence[str]) -> str:
    return "[list " + " ".join(f"$here/{tcl_word(name)}" for name in files) + "]"
