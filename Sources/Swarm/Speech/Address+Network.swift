import PluginKit

extension Address {
  /// Where an address means the same place to everybody.
  enum Network: Hashable {
    case internet
    /// One machine: loopback.
    case machine
    /// A private network, by the block that its addresses are from: RFC 1918, 3927, 4193, 4291 and 6598.
    case local(UInt8)
    /// No peer can be there: multicast, broadcast, all zeros, port 0, no IP address.
    case nowhere
  }

  var network: Network {
    guard let port, port != 0 else { return .nowhere }
    return tag == Self.ipv4 ? network4 : network6
  }

  private var network4: Network {
    switch (self[0], self[1]) {
    case (0, _), (224..., _): .nowhere
    case (127, _): .machine
    case (10, _): .local(10)
    case (172, 16...31): .local(172)
    case (192, 168): .local(192)
    case (169, 254): .local(169)
    case (100, 64...127): .local(100)
    default: .internet
    }
  }

  private var network6: Network {
    if (0..<15).allSatisfy({ self[$0] == 0 }) { return self[15] == 1 ? .machine : .nowhere }
    switch (self[0], self[1]) {
    case (0xFF, _): return .nowhere
    case (0xFC...0xFD, _): return .local(0xFC)
    case (0xFE, 0x80...0xBF): return .local(0xFE)
    default: return .internet
    }
  }

  /// Whether both can reach this address under the same name: private ones stay in their own network.
  ///
  /// RFC 7574, section 8.13: who asks from the Internet must not hear of private addresses. A program on this machine
  /// reaches what the machine reaches.
  func mayBeTold(to asker: Address) -> Bool {
    switch network {
    case .internet: true
    case .machine: asker.network == .machine
    case .local: asker.network == network || asker.network == .machine
    case .nowhere: false
    }
  }

  /// The part that one owner has many addresses of: /16 of IPv4, /32 of IPv6 (nil in private networks).
  var prefix: UInt64? {
    guard network == .internet else { return nil }
    let count = tag == Self.ipv4 ? 2 : 4
    return (0..<count).reduce(UInt64(tag)) { $0 << 8 | UInt64(self[$1]) }
  }

  /// Without the port.
  var host: [UInt8] { port == nil ? bytes : [tag] + bytes.dropLast(2) }
}
