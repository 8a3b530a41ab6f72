# PYNQ-Z2; sources in pynq-z2.toml.
set_property -dict { PACKAGE_PIN H16 IOSTANDARD LVCMOS33 } [get_ports clk]
create_clock -name clk -period 8.000 [get_ports clk]
set_property -dict { PACKAGE_PIN Y16 IOSTANDARD LVCMOS33 PULLUP true } [get_ports rx]
set_property -dict { PACKAGE_PIN Y19 IOSTANDARD LVCMOS33 } [get_ports tx]
set_property -dict { PACKAGE_PIN R14 IOSTANDARD LVCMOS33 } [get_ports led]
set_property -dict { PACKAGE_PIN D19 IOSTANDARD LVCMOS33 } [get_ports button]
set_false_path -from [get_ports { rx button }]
set_false_path -to [get_ports { tx led }]
