import Net
import PluginKit
import Swarm

/// Where to listen, and what to tell others about it.
enum Sockets {
  /// The address of an endpoint, asked from the name servers if it is a name.
  static func address(_ endpoint: Swarm.Link.Endpoint) throws(NodeError) -> Address {
    try addresses(endpoint)[0]
  }

  /// All addresses of an endpoint; never none.
  static func addresses(_ endpoint: Swarm.Link.Endpoint) throws(NodeError) -> [Address] {
    switch endpoint {
    case .address(let address): [address]
    case .name(let host, let port):
      try NodeError.net { () throws(NetError) in try HostPort(host: host, port: port).resolve() }
    }
  }

  /// Opens a socket for a transport.
  static func bind(
    _ address: Address,
    isDualStack: Bool = false,
    _ transport: any Transport
  ) throws(NodeError) -> DatagramSocket {
    let manifest = type(of: transport).manifest
    guard let traits = manifest.traits, traits.carrier == .datagrams else {
      throw .cannotCarry(transport: manifest.name)
    }
    var options = DatagramSocket.Options()
    options.isDualStack = isDualStack
    return try NodeError.net { () throws(NetError) in try DatagramSocket.bind(to: address, options: options) }
  }

  /// The longest datagram of a swarm that a transport carries from a socket at `address`, in bytes.
  static func datagramLimit(_ transport: any Transport, _ address: Address) -> Int {
    let limit = type(of: transport).manifest.traits?.mtu ?? 1200
    // An IPv4 header is 20 bytes shorter.
    return address.tag == Address.ipv4 ? limit + 20 : limit
  }

  /// What to tell others: what the user says, else the addresses that a socket at `bound` has.
  ///
  /// Port 0 stands for the one that is bound. A name that others can look up may be unknown here.
  ///
  /// - Parameters:
  ///   - endpoints: what the user says.
  ///   - bound: where the socket is bound.
  ///   - warn: hears a sentence for each name that is unknown here.
  /// - Returns: at least one address.
  static func advertised(
    _ endpoints: [Swarm.Link.Endpoint],
    _ bound: Address,
    warn: (String) -> Void
  ) -> [Address] {
    var found: [Address] = []
    for endpoint in endpoints {
      do throws(NodeError) {
        found += try addresses(endpoint).map { $0.port == 0 ? $0.with(port: bound.port ?? 0) : $0 }
      } catch {
        warn("--advertise: \(error)")
      }
    }
    return found.isEmpty ? bound.reachable() : found
  }

  /// Whether packets from a socket can go to `address`.
  static func canReach(_ address: Address, from carrier: borrowing Carrier) -> Bool {
    address.tag == carrier.address.tag || carrier.isDualStack
  }

  /// The own address that another peer sees, as far as this machine can know.
  static func own(_ bound: Address, towards other: Address) -> Address {
    guard bound.isUnspecified, let port = bound.port else { return bound }
    return ownAddress(towards: other)?.with(port: port) ?? bound.reachable()[0]
  }

  static func with(_ endpoint: Swarm.Link.Endpoint, port: UInt16) -> Swarm.Link.Endpoint {
    switch endpoint {
    case .address(let address) where address.port == 0: .address(address.with(port: port))
    case .name(let host, port: 0): .name(host, port: port)
    default: endpoint
    }
  }
}
