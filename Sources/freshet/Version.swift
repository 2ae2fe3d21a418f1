import CPluginABI

/// What `freshet --version` prints.
package enum Version {
  package static let number = "0.1.0"

  package static var text: String { "freshet \(number) (plugin interface \(plugin_abi_generation))\n" }
}
