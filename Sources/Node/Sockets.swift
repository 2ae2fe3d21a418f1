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

  /// Opens a socket where others are to find this peer; `takesAnyPort` says whether another port will do when the one
  /// that is asked for is not free.
  static func listen(
    _ endpoint: Swarm.Link.Endpoint,
    takesAnyPort: Bool,
    _ transport: any Transport
  ) throws(NodeError) -> DatagramSocket {
    let address = try address(endpoint)
    do throws(NodeError) {
      return try bind(address, transport)
    } catch {
      guard takesAnyPort, case .net(.cannotListen(_, .addressInUse)) = error else { throw error }
      return try bind(address.with(port: 0), transport)
    }
  }

  /// Opens a socket from which peers can be reached, at an endpoint or anywhere.
  static func listen(
    _ endpoint: Swarm.Link.Endpoint?,
    reaching bootstrap: [Address],
    _ transport: any Transport
  ) throws(NodeError) -> DatagramSocket {
    if let endpoint {
      let address = try address(endpoint)
      return try bind(address, isDualStack: address.isUnspecified, transport)
    }
    let any = (v4: Address(ipv4: 0, port: 0), v6: Address(ipv6: 0, 0, port: 0))
    guard bootstrap.contains(where: { $0.tag == Address.ipv6 }) else { return try bind(any.v4, transport) }
    do throws(NodeError) {
      return try bind(any.v6, isDualStack: true, transport)
    } catch {
      // A machine without IPv6.
      return try bind(any.v4, transport)
    }
  }

  /// The addresses of a link's peers, as far as they are known.
  ///
  /// - Throws: what was wrong with the last, when none is.
  static func bootstrap(_ link: Swarm.Link) throws(NodeError) -> [Address] {
    var bootstrap: [Address] = []
    var unknown: NodeError?
    for endpoint in link.endpoints {
      do throws(NodeError) {
        for address in try addresses(endpoint) where !bootstrap.contains(address) {
          bootstrap.append(address)
        }
      } catch {
        unknown = error
      }
    }
    if bootstrap.isEmpty, let unknown { throw unknown }
    return bootstrap
  }

  /// Those of some addresses that packets from a socket can go to; at least one.
  static func reachable(
    _ addresses: [Address],
    from carrier: borrowing Carrier
  ) throws(NodeError) -> [Address] {
    var usable: [Address] = []
    for address in addresses where canReach(address, from: carrier) { usable.append(address) }
    guard !usable.isEmpty else { throw .otherFamily(listening: carrier.address, addresses) }
    return usable
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
