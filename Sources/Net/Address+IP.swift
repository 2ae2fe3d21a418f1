internal import CSockets
package import PluginKit

extension Address {
  init?(_ endpoint: freshet_endpoint) {
    switch endpoint.family {
    case 4: self.init(ipv4: UInt32(truncatingIfNeeded: endpoint.low), port: endpoint.port)
    case 6: self.init(ipv6: endpoint.high, endpoint.low, port: endpoint.port)
    default: return nil
    }
  }

  /// What a socket understands; `nil` for an address that is not IP.
  var endpoint: freshet_endpoint? {
    switch (tag, count) {
    case (Self.ipv4, 6):
      freshet_endpoint(high: 0, low: number(0, 4), port: UInt16(truncatingIfNeeded: number(4, 2)), family: 4)
    case (Self.ipv6, 18):
      freshet_endpoint(
        high: number(0, 8),
        low: number(8, 8),
        port: UInt16(truncatingIfNeeded: number(16, 2)),
        family: 6
      )
    default: nil
    }
  }

  private func number(_ start: Int, _ count: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in start..<start + count { value = value << 8 | UInt64(self[index]) }
    return value
  }

  /// Whether only this machine reaches it: 127.0.0.0/8, ::1.
  package var isLoopback: Bool {
    guard let endpoint else { return false }
    return endpoint.family == 4
      ? endpoint.low >> 24 == 127 : endpoint.high == 0 && endpoint.low == 1
  }

  /// Whether it stands for every address of the machine: 0.0.0.0, ::.
  package var isUnspecified: Bool {
    guard let endpoint else { return false }
    return endpoint.high == 0 && endpoint.low == 0
  }

  /// Whether only the own link reaches it: 169.254.0.0/16, fe80::/10.
  package var isLinkLocal: Bool {
    guard let endpoint else { return false }
    return endpoint.family == 4 ? endpoint.low >> 16 == 0xa9fe : endpoint.high >> 54 == 0xfe80 >> 6
  }

  /// Whether it stands for many receivers, or for none: no peer can have it.
  package var isMulticast: Bool {
    guard let endpoint else { return false }
    return endpoint.family == 4 ? endpoint.low >> 28 >= 0xe : endpoint.high >> 56 == 0xff
  }

  /// Whether only the own network reaches it: RFC 1918, RFC 6598, fc00::/7, loopback and link-local addresses.
  package var isPrivate: Bool {
    guard let endpoint else { return false }
    if isLoopback || isLinkLocal { return true }
    let host = endpoint.low
    return endpoint.family == 4
      ? host >> 24 == 10 || host >> 20 == 0xac1 || host >> 16 == 0xc0a8 || host >> 22 == 0x6440 >> 6
      : endpoint.high >> 57 == 0xfc >> 1
  }

  /// The same host at another port; unchanged when this is no IP address.
  package func with(port: UInt16) -> Address {
    guard var endpoint else { return self }
    endpoint.port = port
    return Address(endpoint) ?? self
  }
}

/// The addresses of this machine that others may reach, with `port`; none when only loopback is up.
///
/// Loopback and link-local addresses are left out. The address that packets to the Internet leave from comes first in
/// its family, IPv4 before IPv6. At most 32.
package func ownAddresses(port: UInt16) -> [Address] {
  var found = [freshet_endpoint](repeating: freshet_endpoint(), count: 32)
  let count = unsafe freshet_own_endpoints(&found, UInt32(found.count))
  return found.prefix(Int(max(count, 0))).compactMap { Address($0)?.with(port: port) }
}

extension Address {
  /// What to tell others for a socket that is bound here: this address, or in place of 0.0.0.0 and :: the own ones.
  ///
  /// Never an unspecified address; loopback when the machine has nothing else.
  ///
  /// - Parameter dualStack: Whether a socket bound to :: takes IPv4 too.
  /// - Returns: At least one address.
  package func reachable(dualStack: Bool = false) -> [Address] {
    guard isUnspecified, let port else { return [self] }
    let own = ownAddresses(port: port).filter { $0.tag == tag || dualStack }
    if !own.isEmpty { return own }
    return [tag == Self.ipv4 ? Address(ipv4: 0x7f00_0001, port: port) : Address(ipv6: 0, 1, port: port)]
  }
}
