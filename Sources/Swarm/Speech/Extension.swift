package import PluginKit
package import Wire

/// What Freshet peers say to each other beside the RFC's messages.
///
/// Kind and body of the one extension message. All integers are big-endian; every list has a bound. Bodies come from
/// strangers: reading one gives nil rather than half a value.
package enum Extension {
  package enum Kind: UInt8, CaseIterable {
    case hello = 1
    case descriptor = 2
    case ask = 3
    case answer = 4
    case stop = 5
    case goodbye = 6
    case message = 7
    case ping = 8
    case pong = 9
    case note = 10
    case part = 11
  }

  /// Asks for stripes, or for a connection of another purpose.
  package struct Ask: Equatable, ExtensionBody {
    package var number: UInt16
    /// Of the topology that asks.
    package var epoch: UInt32
    package var purpose: Purpose
    package var stripes: StripeSet
    package var from: UInt64?
    package var note: [UInt8]

    func encode() -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.appendInteger(number)
      bytes.appendInteger(epoch)
      bytes.append(purpose.rawValue)
      bytes.appendInteger(stripes.rawValue)
      bytes.append(from == nil ? 0 : 1)
      bytes.appendInteger(from ?? 0)
      bytes += note.prefix(Inbound.noteLimit)
      return bytes
    }

    init(
      number: UInt16,
      epoch: UInt32,
      purpose: Purpose,
      stripes: StripeSet,
      from: UInt64?,
      note: [UInt8]
    ) {
      self.number = number
      self.epoch = epoch
      self.purpose = purpose
      self.stripes = stripes
      self.from = from
      self.note = note
    }

    package init?(reading reader: inout ByteReader) throws(DecodeError) {
      number = try reader.read()
      epoch = try reader.read()
      guard let purpose = Purpose(rawValue: try reader.read()) else { return nil }
      self.purpose = purpose
      stripes = StripeSet(rawValue: try reader.read())
      let hasFrom = try reader.read(UInt8.self) != 0
      let first = try reader.read(UInt64.self)
      from = hasFrom ? first : nil
      guard reader.remaining <= Inbound.noteLimit else { return nil }
      note = reader.rest()
    }
  }

  /// The answer to an ask.
  package struct Answer: Equatable, ExtensionBody {
    package var number: UInt16
    package var isAccepted: Bool
    package var stripes: StripeSet
    /// The first chunk that will be pushed.
    package var from: UInt64?
    package var redirect: [Suggestion]
    package var note: [UInt8]

    func encode() -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.appendInteger(number)
      bytes.append((isAccepted ? 1 : 0) | (from == nil ? 0 : 2))
      bytes.appendInteger(stripes.rawValue)
      bytes.appendInteger(from ?? 0)
      Suggestion.encode(redirect, to: &bytes)
      bytes += note.prefix(Inbound.noteLimit)
      return bytes
    }

    init(
      number: UInt16,
      isAccepted: Bool,
      stripes: StripeSet,
      from: UInt64? = nil,
      redirect: [Suggestion] = [],
      note: [UInt8] = []
    ) {
      self.number = number
      self.isAccepted = isAccepted
      self.stripes = stripes
      self.from = from
      self.redirect = redirect
      self.note = note
    }

    package init?(reading reader: inout ByteReader) throws(DecodeError) {
      number = try reader.read()
      let flags = try reader.read(UInt8.self)
      isAccepted = flags & 1 != 0
      stripes = StripeSet(rawValue: try reader.read())
      let first = try reader.read(UInt64.self)
      from = flags & 2 != 0 ? first : nil
      let rest = reader.rest()
      var offset = 0
      guard let redirect = Suggestion.decode(rest, at: &offset), rest.count - offset <= Inbound.noteLimit
      else {
        return nil
      }
      self.redirect = redirect
      note = Array(rest[offset...])
    }
  }

  /// A peer that a refusal or a goodbye names.
  package struct Suggestion: Equatable {
    package var contact: Contact
    package var isAttached: Bool

    static func encode(_ list: [Suggestion], to bytes: inout [UInt8]) {
      let list = list.prefix(TopologyContext.redirectLimit)
      bytes.append(UInt8(list.count))
      for suggestion in list {
        bytes.append(suggestion.isAttached ? 1 : 0)
        suggestion.contact.encode(into: &bytes)
      }
    }

    package static func decode(_ bytes: [UInt8], at offset: inout Int) -> [Suggestion]? {
      guard offset < bytes.count, Int(bytes[offset]) <= TopologyContext.redirectLimit else { return nil }
      let count = Int(bytes[offset])
      offset += 1
      var list: [Suggestion] = []
      for _ in 0..<count {
        guard offset < bytes.count else { return nil }
        let isAttached = bytes[offset] != 0
        offset += 1
        guard let contact = Contact.decode(bytes, at: &offset) else { return nil }
        list.append(Suggestion(contact: contact, isAttached: isAttached))
      }
      return list
    }
  }

  /// Which stripes of an epoch are not to be pushed any more.
  package struct Stop: Equatable, ExtensionBody {
    package var epoch: UInt32
    package var stripes: StripeSet

    func encode() -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.appendInteger(epoch)
      bytes.appendInteger(stripes.rawValue)
      return bytes
    }

    init(epoch: UInt32, stripes: StripeSet) {
      self.epoch = epoch
      self.stripes = stripes
    }

    package init?(reading reader: inout ByteReader) throws(DecodeError) {
      epoch = try reader.read()
      stripes = StripeSet(rawValue: try reader.read())
    }
  }

  /// In a swap: what two peers were to each other in one epoch has ended, and they stay connected for the other.
  package struct Part: Equatable, ExtensionBody {
    package var epoch: UInt32
    package var redirect: [Suggestion]

    func encode() -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.appendInteger(epoch)
      Suggestion.encode(redirect, to: &bytes)
      return bytes
    }

    init(epoch: UInt32, redirect: [Suggestion]) {
      self.epoch = epoch
      self.redirect = redirect
    }

    package init?(reading reader: inout ByteReader) throws(DecodeError) {
      epoch = try reader.read()
      var offset = 0
      guard let redirect = Suggestion.decode(reader.rest(), at: &offset) else { return nil }
      self.redirect = redirect
    }
  }

  /// A peer's state, said at each ping so that candidates stay known, and everybody hears of a swap.
  package struct Ping: Equatable, ExtensionBody {
    package var token: UInt64
    package var isAttached: Bool
    package var depth: UInt16
    /// The newest that it knows of; 0 for none.
    package var epoch: UInt32
    /// What it saw of the last swap.
    package var swap: Seen

    /// What a peer saw of a swap, each as far as the field goes.
    package struct Seen: Equatable {
      /// The epoch that began; 0 for none.
      package var epoch: UInt32 = 0
      /// In milliseconds.
      package var gap: UInt16 = 0
      package var lost: UInt16 = 0
      package var duplicates: UInt16 = 0
    }

    func encode() -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.appendInteger(token)
      bytes.append(isAttached ? 1 : 0)
      bytes.appendInteger(depth)
      bytes.appendInteger(epoch)
      bytes.appendInteger(swap.epoch)
      bytes.appendInteger(swap.gap)
      bytes.appendInteger(swap.lost)
      bytes.appendInteger(swap.duplicates)
      return bytes
    }

    init(token: UInt64, isAttached: Bool, depth: UInt16, epoch: UInt32 = 0, swap: Seen = Seen()) {
      self.token = token
      self.isAttached = isAttached
      self.depth = depth
      self.epoch = epoch
      self.swap = swap
    }

    package init?(reading reader: inout ByteReader) throws(DecodeError) {
      token = try reader.read()
      isAttached = try reader.read(UInt8.self) != 0
      depth = try reader.read()
      epoch = try reader.read()
      swap = Seen(
        epoch: try reader.read(),
        gap: try reader.read(),
        lost: try reader.read(),
        duplicates: try reader.read()
      )
    }
  }
}
