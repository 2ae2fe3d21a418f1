internal import CSockets
package import PluginKit

/// The own address from which packets to `other` leave; `nil` when no route leads there.
///
/// Its port means nothing. Asks the system only; no packet is sent.
package func ownAddress(towards other: Address) -> Address? {
  guard let destination = other.endpoint else { return nil }
  var local = freshet_endpoint()
  guard unsafe freshet_route(destination, &local) == 0 else { return nil }
  return Address(local)
}
