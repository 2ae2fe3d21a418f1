import PluginKit

/// What the topologies of a chunk world may look up: who is who, and which chunks the peer whose turn it is holds.
///
/// Each peer has a ring of bits for the chunks that it holds, and numbers the others in its own way, so that a number
/// which leaks into a message means nothing elsewhere.
@safe final class HostView: PeerDirectory, HeldChunks {
  /// The most contacts that exist nowhere and are remembered; later ones take the places of earlier ones.
  static let strangerLimit = 4096
  private static let firstStranger: UInt32 = 1 << 24

  /// Whose turn it is.
  var host = 0
  /// How many chunks a peer keeps.
  let size: UInt32
  /// A decoder can begin with each chunk whose number is one more than a multiple of this.
  let entryDistance: UInt32
  private let seed: UInt64
  private let count: Int
  /// Of each peer a row of words: the newest chunk that it holds, and a ring of bits.
  private let stride: Int
  private let capacity: UInt32
  private let rows: UnsafeMutablePointer<UInt64>
  private var strangers: [Contact] = []
  private var nextStranger = 0

  /// `span`: how many chunks back anybody asks about, even if none is kept for so long.
  init(seed: UInt64, count: Int, size: UInt32, span: UInt32, entryDistance: UInt32) {
    precondition(count < 1 << 24, "a world has at most 16,777,215 peers")
    self.seed = seed
    self.count = count
    self.size = size
    self.entryDistance = entryDistance
    stride = 1 + Int((max(size, span) + 63) / 64)
    capacity = UInt32((stride - 1) * 64)
    unsafe rows = .allocate(capacity: stride * count)
    unsafe rows.initialize(repeating: 0, count: stride * count)
  }

  deinit { unsafe rows.deallocate() }

  // MARK: Who is who

  func contact(_ index: Int) -> Contact {
    var random = RandomSource(seed: seed ^ UInt64(index) &* 0xA076_1D64_78BD_642F)
    let words = InlineWords(random.next(), random.next(), random.next(), random.next())
    return Contact(id: PeerID(words), address: Address(ipv4: 0x0A00_0000 + UInt32(index), port: 7574))
  }

  private func mask(_ host: Int) -> UInt32 { (UInt32(truncatingIfNeeded: host) &* 2_654_435_761) >> 8 }

  /// How a host numbers a peer of the world, or a stranger.
  func reference(_ peer: UInt32, at host: Int) -> PeerRef {
    PeerRef(peer < Self.firstStranger ? peer ^ mask(host) : peer)
  }

  /// The peer of the world, or the stranger, that a host means.
  func peer(_ reference: PeerRef, at host: Int) -> UInt32 {
    reference.number < Self.firstStranger ? reference.number ^ mask(host) : reference.number
  }

  func contact(of reference: PeerRef) -> Contact? {
    let peer = Int(peer(reference, at: host))
    if peer < count { return contact(peer) }
    let place = peer - Int(Self.firstStranger)
    return place >= 0 && place < strangers.count ? strangers[place] : nil
  }

  func peer(for contact: Contact) -> PeerRef {
    let bytes = contact.address
    if bytes.tag == Address.ipv4, bytes.count == 6, bytes[0] == 10, bytes.port == 7574 {
      let index = Int(bytes[1]) << 16 | Int(bytes[2]) << 8 | Int(bytes[3])
      if index < count, self.contact(index).id == contact.id { return reference(UInt32(index), at: host) }
    }
    if let place = strangers.firstIndex(of: contact) { return PeerRef(Self.firstStranger + UInt32(place)) }
    if strangers.count < Self.strangerLimit {
      strangers.append(contact)
      return PeerRef(Self.firstStranger + UInt32(strangers.count - 1))
    }
    strangers[nextStranger] = contact
    defer { nextStranger = (nextStranger + 1) % Self.strangerLimit }
    return PeerRef(Self.firstStranger + UInt32(nextStranger))
  }

  // MARK: What is held

  /// The newest chunk that a peer holds; 0 for none.
  func newest(_ peer: Int) -> UInt32 {
    precondition(peer < count)
    return unsafe UInt32(truncatingIfNeeded: rows[peer * stride])
  }

  /// The row of a peer, and where a chunk stands in it.
  private func place(_ peer: Int, _ chunk: UInt32) -> (word: Int, bit: UInt64) {
    precondition(peer < count)
    let place = Int(chunk % capacity)
    return (peer * stride + 1 + place >> 6, 1 << UInt64(place & 63))
  }

  /// The oldest chunk that a peer may still hold.
  func first(_ peer: Int) -> UInt32 {
    let newest = newest(peer)
    return newest >= size ? newest - size + 1 : 0
  }

  func has(_ peer: Int, _ chunk: UInt32) -> Bool { isHere(peer, chunk) && chunk >= first(peer) }

  /// Whether a chunk came, though it may have left the window; good for as long as anybody asks.
  func isHere(_ peer: Int, _ chunk: UInt32) -> Bool {
    let newest = newest(peer)
    guard chunk > 0, chunk <= newest, newest - chunk < capacity else { return false }
    let place = place(peer, chunk)
    return unsafe rows[place.word] & place.bit != 0
  }

  /// Takes in a chunk that is not older than the window.
  func store(_ peer: Int, _ chunk: UInt32) {
    let before = newest(peer)
    if chunk > before {
      if chunk - before >= capacity {
        for word in 1..<stride { unsafe rows[peer * stride + word] = 0 }
      } else {
        var skipped = before + 1
        while skipped < chunk {
          let place = place(peer, skipped)
          unsafe rows[place.word] &= ~place.bit
          skipped += 1
        }
      }
      unsafe rows[peer * stride] = UInt64(chunk)
    }
    let place = place(peer, chunk)
    unsafe rows[place.word] |= place.bit
  }

  /// The newest chunk held at which a decoder can begin; 0 for none.
  func newestEntry(_ peer: Int) -> UInt32 {
    let newest = newest(peer)
    guard newest > 0 else { return 0 }
    var entry = newest - (newest - 1) % entryDistance
    let first = max(first(peer), 1)
    while entry >= first {
      if has(peer, entry) { return entry }
      guard entry > entryDistance else { return 0 }
      entry -= entryDistance
    }
    return 0
  }

  /// The lowest chunk from which on all are here up to `chunk`, which is here.
  func runStart(_ peer: Int, _ chunk: UInt32) -> UInt32 {
    var start = chunk
    while start > 1, has(peer, start - 1) { start -= 1 }
    return start
  }

  func window(_ peer: Int) -> WindowState {
    let newest = newest(peer)
    let entry = newestEntry(peer)
    return WindowState(
      first: UInt64(first(peer)),
      last: newest == 0 ? nil : UInt64(newest),
      newestEntry: entry == 0 ? nil : UInt64(entry),
      size: UInt64(size)
    )
  }

  func has(_ chunk: UInt64) -> Bool { chunk <= UInt64(UInt32.max) && has(host, UInt32(chunk)) }

  var held: [ClosedRange<UInt64>] {
    let newest = newest(host)
    var ranges: [ClosedRange<UInt64>] = []
    var chunk = max(first(host), 1)
    while chunk <= newest {
      if has(host, chunk) {
        let start = chunk
        while chunk < newest, has(host, chunk + 1) { chunk += 1 }
        ranges.append(UInt64(start)...UInt64(chunk))
      }
      chunk += 1
    }
    return ranges
  }
}
