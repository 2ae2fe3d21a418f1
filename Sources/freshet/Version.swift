import CPluginABI

/// What `freshet --version` prints.
package enum Version {
  package static let number = "0.1.0"

  /// The generation of the plugin interface.
  package static let interface = plugin_abi_generation

  package static var text: String { "freshet \(number) (plugin interface \(interface))\n" }
}
