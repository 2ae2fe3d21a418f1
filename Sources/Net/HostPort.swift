internal import CSockets
package import PluginKit

/// A host and a port as a user writes them: `HOST:PORT`, `192.0.2.7:7574` or `[2001:db8::7]:7574`.
package struct HostPort: Hashable, Sendable, CustomStringConvertible {
  /// A name or an address, without brackets.
  package var host: String
  package var port: UInt16

  package init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// Reads `HOST:PORT`.
  ///
  /// An IPv6 address stands in brackets. Without a port it is `defaultPort`; without a host, as in `:7574`, it is
  /// 0.0.0.0.
  ///
  /// - Throws: ``NetError/notAnAddress(_:reason:)``.
  package init(_ text: some StringProtocol, defaultPort: UInt16? = nil) throws(NetError) {
    let text = String(text)
    func refuse(_ reason: String) -> NetError { .notAnAddress(text, reason: reason) }
    let host: Substring
    let rest: Substring
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]") else { throw refuse("the bracket is not closed") }
      host = text[text.index(after: text.startIndex)..<end]
      rest = text[text.index(after: end)...]
      guard host.contains(":") else { throw refuse("only an IPv6 address stands in brackets") }
    } else {
      let colon = text.firstIndex(of: ":") ?? text.endIndex
      host = text[..<colon]
      rest = text[colon...]
      guard rest.filter({ $0 == ":" }).count <= 1 else {
        throw refuse("write an IPv6 address in brackets, as [2001:db8::7]:7574")
      }
    }
    // 253 characters is the longest name that DNS knows.
    guard host.utf8.count <= 253 else { throw refuse("the host is too long") }
    guard host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }) else {
      throw refuse("a host has only letters, digits, dots and hyphens")
    }
    if rest.isEmpty, let defaultPort, !host.isEmpty {
      self.init(host: String(host), port: defaultPort)
      return
    }
    guard rest.first == ":" else { throw refuse("the port is missing: write HOST:PORT") }
    let digits = rest.dropFirst()
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits)
    else { throw refuse("a port is a number from 0 to 65535") }
    self.init(host: host.isEmpty ? "0.0.0.0" : String(host), port: port)
  }

  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// The address when the host is one, without asking anybody.
  package var numeric: Address? {
    guard let found = try? lookUp(numeric: true) else { return nil }
    return found.first
  }

  /// The addresses of the host, in the order in which the system would try them; at least one, at most 16.
  ///
  /// Asks the name servers and waits for their answer.
  ///
  /// - Throws: ``NetError/unknownHost(_:reason:)``.
  package func resolve() throws(NetError) -> [Address] {
    let found = try lookUp(numeric: false)
    guard !found.isEmpty else { throw .unknownHost(host, reason: "it has no IP address") }
    return found
  }

  private func lookUp(numeric: Bool) throws(NetError) -> [Address] {
    var found = [freshet_endpoint](repeating: freshet_endpoint(), count: 16)
    let count = unsafe freshet_resolve(host, port, numeric, &found, UInt32(found.count))
    guard count >= 0 else {
      let reason = unsafe String(cString: freshet_resolve_error(count))
      throw .unknownHost(host, reason: reason.prefix(1).lowercased() + reason.dropFirst())
    }
    return found.prefix(Int(count)).compactMap(Address.init)
  }
}

/// Finds the addresses of `HOST:PORT`; waits for the name servers.
///
/// - Throws: ``NetError/notAnAddress(_:reason:)`` or ``NetError/unknownHost(_:reason:)``.
package func resolve(_ text: String, defaultPort: UInt16? = nil) throws(NetError) -> [Address] {
  try HostPort(text, defaultPort: defaultPort).resolve()
}

/// Where to listen, as `udp://HOST:PORT`: the scheme names the transport.
package struct ListenAddress: Hashable, Sendable, CustomStringConvertible {
  /// In lower case.
  package var scheme: String
  package var place: HostPort

  package init(scheme: String, place: HostPort) {
    self.scheme = scheme
    self.place = place
  }

  /// Reads `SCHEME://HOST:PORT` or `HOST:PORT`.
  ///
  /// - Throws: ``NetError/notAnAddress(_:reason:)``.
  package init(
    _ text: String,
    defaultScheme: String = "udp",
    defaultPort: UInt16 = 7574
  ) throws(NetError) {
    guard let separator = text.firstRange(of: "://") else {
      self.init(scheme: defaultScheme, place: try HostPort(text, defaultPort: defaultPort))
      return
    }
    let scheme = text[..<separator.lowerBound].lowercased()
    guard !scheme.isEmpty, scheme.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      throw .notAnAddress(text, reason: "it begins with the name of a transport, as udp://0.0.0.0:7574")
    }
    var place = text[separator.upperBound...]
    if place.hasSuffix("/") { place.removeLast() }
    do {
      self.init(scheme: scheme, place: try HostPort(place, defaultPort: defaultPort))
    } catch .notAnAddress(_, let reason) {
      throw .notAnAddress(text, reason: reason)
    }
  }

  package var description: String { "\(scheme)://\(place)" }
}
