import Branching
import PluginKit

/// A message about one stripe.
///
/// Every field may be a lie; reading one yields a value within the bounds, or nothing.
struct Letter: Hashable, Sendable {
  enum Content: Hashable, Sendable {
    /// From the branch on the other side to ours.
    case word([UInt8])
    /// An ask for the stripe is refused, and this is where to go.
    case refusal([Contact])
    /// The stripe does not flow between us any more, in either direction, and this is where to go.
    case parting([Contact])
  }

  var stripe: Int
  var content: Content

  init(stripe: Int, _ content: Content) {
    self.stripe = stripe
    self.content = content
  }

  var encoded: [UInt8] {
    switch content {
    case .word(let bytes): return [0, UInt8(stripe)] + bytes
    case .refusal(let contacts): return [1, UInt8(stripe)] + Self.encode(contacts)
    case .parting(let contacts): return [2, UInt8(stripe)] + Self.encode(contacts)
    }
  }

  init?(_ bytes: [UInt8]) {
    guard bytes.count >= 2, bytes[1] < StripeSet.limit else { return nil }
    stripe = Int(bytes[1])
    switch bytes[0] {
    case 0: content = .word(Array(bytes[2...]))
    case 1:
      guard let contacts = Self.contacts(bytes) else { return nil }
      content = .refusal(contacts)
    case 2:
      guard let contacts = Self.contacts(bytes) else { return nil }
      content = .parting(contacts)
    default: return nil
    }
  }

  private static func encode(_ contacts: [Contact]) -> [UInt8] {
    let some = contacts.prefix(TopologyContext.redirectLimit)
    var bytes = [UInt8(some.count)]
    for contact in some { contact.encode(into: &bytes) }
    return bytes
  }

  private static func contacts(_ bytes: [UInt8]) -> [Contact]? {
    guard bytes.count >= 3, bytes[2] <= TopologyContext.redirectLimit else { return nil }
    var offset = 3
    var contacts: [Contact] = []
    for _ in 0..<bytes[2] {
      guard let contact = Contact.decode(bytes, at: &offset) else { return nil }
      contacts.append(contact)
    }
    return offset == bytes.count ? contacts : nil
  }
}

/// The notes of several stripes in one.
struct NoteList {
  private(set) var bytes: [UInt8] = []

  /// False when the note does not fit any more.
  mutating func append(_ stripe: Int, _ note: [UInt8]) -> Bool {
    guard bytes.count + 3 + note.count <= Inbound.noteLimit else { return false }
    bytes.append(UInt8(stripe))
    bytes.append(UInt8(note.count >> 8))
    bytes.append(UInt8(note.count & 255))
    bytes += note
    return true
  }

  static func read(_ bytes: [UInt8]) -> [(stripe: Int, note: [UInt8])] {
    var list: [(stripe: Int, note: [UInt8])] = []
    var offset = 0
    while bytes.count - offset >= 3, list.count < StripeSet.limit {
      let count = Int(bytes[offset + 1]) << 8 | Int(bytes[offset + 2])
      guard bytes.count - offset - 3 >= count else { break }
      list.append((Int(bytes[offset]), Array(bytes[offset + 3..<offset + 3 + count])))
      offset += 3 + count
    }
    return list
  }
}
