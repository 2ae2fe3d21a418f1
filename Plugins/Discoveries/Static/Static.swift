public import CPluginABI
package import PluginKit

/// Peers that are named once and for all.
package struct Static: Discovery {
  /// The most bytes of `peers`.
  private static let textLimit = 4096

  package static let manifest = Manifest(
    name: "static",
    version: "1.0.0",
    summary: "Knows the peers that it is given",
    parameters: [
      Parameter(
        "peers",
        .text(limit: textLimit, default: ""),
        "the peers, as HOST:PORT or [IPV6]:PORT with + between them"
      )
    ]
  )

  private let places: [String]

  package init(parameters: Parameters) throws(ParameterError) {
    var places: [String] = []
    for text in parameters.text("peers").split(separator: "+") {
      guard Self.isPlace(text) else {
        throw ParameterError("peers=\(text) is not possible: write HOST:PORT or [IPV6]:PORT")
      }
      if !places.contains(String(text)) { places.append(String(text)) }
    }
    self.places = places
  }

  package mutating func handle(_ event: DiscoveryEvent, _ context: inout DiscoveryContext) {
    guard case .query(_, let limit) = event else { return }
    context.emit(.found(places.prefix(max(limit, 0)).map { Hint(.name($0)) }))
  }

  /// Whether the text is a host and a port from 1 to 65535; whether the host exists is for the host to find out.
  private static func isPlace(_ text: Substring) -> Bool {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0
    else { return false }
    let host = text[..<colon]
    if host.hasPrefix("[") {
      return host.hasSuffix("]") && host.count > 2
        && host.dropFirst().dropLast().allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." }
    }
    return !host.isEmpty
      && host.allSatisfy {
        ($0.isASCII && ($0.isLetter || $0.isNumber)) || $0 == "-" || $0 == "." || $0 == "_"
      }
  }
}

@c(Static_plugin)
public func descriptor() -> plugin_descriptor {
  unsafe plugin_describe { unsafe Plugin.retained(Static.self) }
}
