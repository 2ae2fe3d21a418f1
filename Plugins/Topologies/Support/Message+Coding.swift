import PluginKit

/// Appends big-endian fields and counted lists.
struct Writer {
  var bytes: [UInt8] = []

  mutating func write<Integer: FixedWidthInteger & UnsignedInteger>(_ value: Integer) {
    unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
  }

  /// At most `limit` elements behind their number.
  mutating func write<Element>(
    _ list: [Element],
    limit: Int,
    _ write: (inout Writer, Element) -> Void
  ) {
    let part = list.prefix(min(limit, 255))
    self.write(UInt8(part.count))
    for element in part { write(&self, element) }
  }

  mutating func write(_ contacts: [Contact], limit: Int) {
    write(contacts, limit: limit) { $1.encode(into: &$0.bytes) }
  }

  mutating func write(_ view: View) {
    write(view.sequence)
    write(view.standing.rawValue)
    write(UInt16(clamping: view.depth))
    write(view.pulse)
    write(view.rank)
    write(view.path, limit: View.pathLimit) { $0.write($1) }
    write(view.siblings, limit: View.siblingLimit)
    write(view.ancestors, limit: View.ancestorLimit)
    write(view.refuges, limit: View.refugeLimit)
    write(view.root.map { [$0] } ?? [], limit: 1)
    write(view.census.peers)
    write(view.census.slots)
    write(view.census.bar)
  }
}

/// Reads what ``Writer`` wrote, or anything else, without ever leaving the bytes.
struct Reader {
  let bytes: [UInt8]
  var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { offset == bytes.count }

  mutating func read<Integer: FixedWidthInteger & UnsignedInteger>(_: Integer.Type) -> Integer? {
    let size = Integer.bitWidth / 8
    guard bytes.count - offset >= size else { return nil }
    var value: Integer = 0
    for _ in 0..<size {
      // A shift of a byte by its whole width is 0, as it should be.
      value = value << 8 | Integer(bytes[offset])
      offset += 1
    }
    return value
  }

  mutating func standing() -> Standing? { read(UInt8.self).flatMap(Standing.init) }

  mutating func contact() -> Contact? { Contact.decode(bytes, at: &offset) }

  mutating func offer() -> Offer? {
    guard let kind = read(UInt8.self).flatMap(Offer.Kind.init), let depth = read(UInt16.self),
      let lag = read(UInt16.self),
      let slots = read(UInt16.self), let weakest = read(UInt8.self), let contact = contact()
    else { return nil }
    return Offer(kind: kind, depth: depth, lag: lag, slots: slots, weakest: weakest, contact: contact)
  }

  mutating func list<Element>(limit: Int, _ element: (inout Reader) -> Element?) -> [Element]? {
    guard let count = read(UInt8.self), count <= limit else { return nil }
    var list: [Element] = []
    for _ in 0..<count {
      guard let next = element(&self) else { return nil }
      list.append(next)
    }
    return list
  }

  mutating func view() -> View? {
    guard let sequence = read(UInt32.self), let standing = standing(), let depth = read(UInt16.self),
      let pulse = read(UInt64.self), let rank = read(UInt8.self),
      let path = list(limit: View.pathLimit, { $0.read(UInt64.self) }),
      let siblings = list(limit: View.siblingLimit, { $0.contact() }),
      let ancestors = list(limit: View.ancestorLimit, { $0.contact() }),
      let refuges = list(limit: View.refugeLimit, { $0.contact() }),
      let root = list(limit: 1, { $0.contact() }), let peers = read(UInt32.self),
      let slots = read(UInt32.self), let bar = read(UInt8.self)
    else { return nil }
    var view = View(standing: standing, depth: Int(depth), pulse: pulse, path: path)
    view.sequence = sequence
    view.rank = rank
    view.siblings = siblings
    view.ancestors = ancestors
    view.refuges = refuges
    view.root = root.first
    view.census = Census(peers: peers, slots: slots, bar: bar)
    return view
  }
}
