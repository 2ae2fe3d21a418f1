package import PluginKit
package import Wire

/// What one datagram says, for a person or a program to read.
public struct DatagramDescription: Sendable {
  /// Counted from 1 in the order of the capture.
  package var number: UInt64
  /// When it was captured, since the Unix epoch; less than a year since some midnight, where the day is not known.
  package var time: Duration?
  package var source: Address?
  package var destination: Address?
  /// Bytes of the datagram as it was sent, without IP and UDP headers.
  package var length: Int
  /// How many of them the capture holds.
  package var captured: Int
  /// The channel that it is for; nil when it is too short to say.
  package var channel: UInt32?
  /// The other end of that channel, where it is known.
  package var opposite: UInt32?
  package var messages: [MessageDescription] = []
  /// Why the rest could not be read.
  package var problem: Problem?
  /// All bytes that were captured; empty unless they were asked for.
  package var bytes: [UInt8] = []
}

/// Why a datagram, or its rest, could not be read.
package struct Problem: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    /// It breaks the rules of RFC 7574.
    case malformed
    /// What is needed to read it was not seen.
    case unreadable
    /// The capture holds only its beginning.
    case cut
    /// A piece of an IP packet; the pieces are not put together.
    case fragment
  }

  package var kind: Kind
  /// One sentence without a full stop.
  package var reason: String
  /// Where the message begins that could not be read, in bytes.
  package var offset: Int
  /// The first bytes from there.
  package var rest: [UInt8]

  /// How many bytes are shown.
  package static let restLimit = 24
}

/// What one message says.
package struct MessageDescription: Hashable, Sendable {
  package var kind: MessageKind
  /// Where it begins in the datagram and how long it is, in bytes.
  package var offset: Int
  package var length: Int
  package var chunks: ChunkRange?
  package var fields: [Field] = []
  package var verdict: Verdict?
  /// Whether the receiver was sent this chunk before.
  package var isDuplicate = false
}

/// Whether something is what its signer made.
package enum Verdict: Hashable, Sendable {
  case genuine
  case forged
  /// It cannot be told, and why.
  case unknown(String)

  package var name: String {
    switch self {
    case .genuine: "genuine"
    case .forged: "false"
    case .unknown: "unknown"
    }
  }
}

/// One thing that a message says.
package struct Field: Hashable, Sendable {
  package indirect enum Value: Hashable, Sendable {
    case unsigned(UInt64)
    case signed(Int64)
    case seconds(Duration)
    case flag(Bool)
    case text(String)
    case list([Value])
    case object([Field])
  }

  /// Its name for programs; units stand at the end.
  package var name: String
  package var value: Value
  /// What a person reads; nil for what only programs need.
  package var phrase: String?

  package init(_ name: String, _ value: Value, _ phrase: String? = nil) {
    self.name = name
    self.value = value
    self.phrase = phrase
  }
}
