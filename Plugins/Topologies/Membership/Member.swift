package import PluginKit

/// A peer that this one is connected to.
package struct Member: Hashable, Sendable {
  package var peer: PeerRef
  package var contact: Contact
  /// Kilobits per second that it gives to the swarm, by its own word.
  package var upload: UInt32
  /// When it began to take part, by its own word and our clock.
  package var began: Duration
  package var isSource: Bool
  /// Whether it accepted us, so that it tells what it has.
  package var isGranted = false
  /// Since when it does not answer to chunks; `nil` while it does.
  package var silentSince: Duration?

  package init(
    peer: PeerRef,
    contact: Contact,
    upload: UInt32,
    began: Duration = .zero,
    isSource: Bool = false
  ) {
    self.peer = peer
    self.contact = contact
    self.upload = upload
    self.began = began
    self.isSource = isSource
  }

  /// Kilobits per second, rounded as all peers round them.
  package static func kilobits(_ upload: UInt64) -> UInt32 { UInt32(clamping: upload / 1000) }
}

/// What members say to each other: whom they are connected to.
package enum MemberList {
  /// The most contacts of one message.
  package static let limit = 16
  private static let kind: UInt8 = 1

  package static func encode(_ contacts: [Contact]) -> [UInt8] {
    var bytes = [kind, 0]
    for contact in contacts.prefix(limit) {
      let size = bytes.count
      contact.encode(into: &bytes)
      guard bytes.count <= TopologyContext.messageLimit else {
        bytes.removeLast(bytes.count - size)
        break
      }
      bytes[1] += 1
    }
    return bytes
  }

  /// The contacts of a message; `nil` when it is none.
  package static func decode(_ bytes: [UInt8]) -> [Contact]? {
    guard bytes.count >= 2, bytes[0] == kind, Int(bytes[1]) <= limit else { return nil }
    var offset = 2
    var contacts: [Contact] = []
    for _ in 0..<bytes[1] {
      guard let contact = Contact.decode(bytes, at: &offset) else { return nil }
      contacts.append(contact)
    }
    return offset == bytes.count ? contacts : nil
  }
}

/// What who accepts says of its window, so that a newcomer begins where a decoder can.
package struct Welcome: Hashable, Sendable {
  package var entry: UInt64
  package var last: UInt64

  package init(entry: UInt64, last: UInt64) {
    self.entry = entry
    self.last = last
  }

  package init?(_ window: WindowState) {
    guard let entry = window.newestEntry, let last = window.last, entry <= last else { return nil }
    self.init(entry: entry, last: last)
  }

  package init?(_ bytes: [UInt8]) {
    guard bytes.count == 16 else { return nil }
    func word(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
    self.init(entry: word(0..<8), last: word(8..<16))
    guard entry <= last else { return nil }
  }

  package var encoded: [UInt8] {
    [entry, last].flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) } }
  }
}
