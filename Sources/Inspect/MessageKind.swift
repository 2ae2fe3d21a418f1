internal import Swarm
internal import Wire

/// What kind of message it is: those of RFC 7574 (table 7), and ours.
///
/// The raw values are the names for programs and for filters.
package enum MessageKind: String, Hashable, Sendable, CaseIterable {
  case handshake
  case data
  case ack
  case have
  case integrity
  case pexResponse4 = "pex_resv4"
  case pexRequest = "pex_req"
  case signedIntegrity = "signed_integrity"
  case request
  case cancel
  case choke
  case unchoke
  case pexResponse6 = "pex_resv6"
  case pexCertificate = "pex_rescert"
  /// A datagram without messages (section 8.14).
  case keepAlive = "keep_alive"

  // Ours, which no other implementation knows.
  case hello
  case descriptor
  case ask
  case answer
  case stop
  case goodbye
  case part
  case message
  case ping
  case pong
  case note
  /// An extension message of a kind that this version does not know.
  case `extension`

  /// Whether it is one of our own.
  package var isExtension: Bool {
    switch self {
    case .hello, .descriptor, .ask, .answer, .stop, .goodbye, .part, .message, .ping, .pong, .note,
      .extension:
      true
    default: false
    }
  }

  /// As a person knows it: the RFC's messages in the RFC's letters, ours in small ones.
  package var label: String {
    switch self {
    case .pexResponse4: "PEX_RESv4"
    case .pexResponse6: "PEX_RESv6"
    case .pexCertificate: "PEX_REScert"
    case .keepAlive: "KEEP-ALIVE"
    default: isExtension ? rawValue : rawValue.uppercased()
    }
  }

  /// The message with a type byte; nil for one that is unassigned, or ours.
  init?(type: UInt8) {
    switch type {
    case MessageType.handshake: self = .handshake
    case MessageType.data: self = .data
    case MessageType.ack: self = .ack
    case MessageType.have: self = .have
    case MessageType.integrity: self = .integrity
    case MessageType.pexResponse4: self = .pexResponse4
    case MessageType.pexRequest: self = .pexRequest
    case MessageType.signedIntegrity: self = .signedIntegrity
    case MessageType.request: self = .request
    case MessageType.cancel: self = .cancel
    case MessageType.choke: self = .choke
    case MessageType.unchoke: self = .unchoke
    case MessageType.pexResponse6: self = .pexResponse6
    case MessageType.pexCertificate: self = .pexCertificate
    default: return nil
    }
  }

  init(_ kind: Extension.Kind) {
    self =
      switch kind {
      case .hello: .hello
      case .descriptor: .descriptor
      case .ask: .ask
      case .answer: .answer
      case .stop: .stop
      case .goodbye: .goodbye
      case .part: .part
      case .message: .message
      case .ping: .ping
      case .pong: .pong
      case .note: .note
      }
  }

  /// Whether its length depends on what a HANDSHAKE said.
  static func dependsOnFormat(type: UInt8) -> Bool {
    switch type {
    case MessageType.data, MessageType.ack, MessageType.have, MessageType.integrity,
      MessageType.signedIntegrity, MessageType.request, MessageType.cancel:
      true
    default: false
    }
  }
}
