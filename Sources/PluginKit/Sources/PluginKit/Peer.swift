/// A peer as one host numbers it: a connected one, or one that it only knows of.
///
/// The number means nothing on another host; a ``Contact`` does.
@frozen public struct PeerRef: Hashable, Comparable, Sendable, BitwiseCopyable {
  public let number: UInt32

  @inlinable
  public init(_ number: UInt32) { self.number = number }

  @inlinable
  public static func < (left: PeerRef, right: PeerRef) -> Bool { left.number < right.number }
}

/// Who a peer is: the SHA-256 hash of its Ed25519 public key, proven by the hello.
@frozen public struct PeerID: Hashable, Comparable, Sendable, BitwiseCopyable {
  /// The 32 bytes, the first at the top of the first word.
  public let words: InlineWords

  @inlinable
  public init(_ words: InlineWords) { self.words = words }

  /// An id of 32 bytes, or `nil` when `bytes` has another length.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == 32 else { return nil }
    words = InlineWords(bytes, at: 0, count: 32)
  }

  public var bytes: [UInt8] { (0..<32).map(words.byte) }

  /// The first eight bytes: where the peer stands on a 64-bit ring.
  @inlinable public var ring: UInt64 { words.first }

  @inlinable
  public static func < (left: PeerID, right: PeerID) -> Bool {
    (left.words.first, left.words.second, left.words.third, left.words.fourth)
      < (right.words.first, right.words.second, right.words.third, right.words.fourth)
  }
}

extension PeerID: CustomStringConvertible {
  /// The first eight hexadecimal digits.
  public var description: String {
    let digits = String(words.first >> 32, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}

/// A peer as it can be told to another host: who it is, and where.
@frozen public struct Contact: Hashable, Sendable, BitwiseCopyable {
  /// The greatest size of an encoded contact, in bytes.
  public static let encodedLimit = 32 + 1 + 1 + Address.capacity

  public var id: PeerID
  public var address: Address

  @inlinable
  public init(id: PeerID, address: Address) {
    self.id = id
    self.address = address
  }

  /// Appends id (32), tag (1), count (1) and the bytes of the address.
  public func encode(into bytes: inout [UInt8]) {
    for index in 0..<32 { bytes.append(id.words.byte(index)) }
    // An address keeps its tag and its count before its bytes.
    for index in 0..<address.count + 2 { bytes.append(address.words.byte(index)) }
  }

  /// Reads a contact at `offset` and moves `offset` behind it; `nil` when the bytes are none.
  public static func decode(_ bytes: [UInt8], at offset: inout Int) -> Contact? {
    guard offset >= 0, bytes.count - offset >= 34 else { return nil }
    let count = Int(bytes[offset + 33])
    guard bytes.count - offset - 34 >= count, count <= Address.capacity else { return nil }
    let id = PeerID(InlineWords(bytes, at: offset, count: 32))
    let address = Address(words: InlineWords(bytes, at: offset + 32, count: count + 2))
    offset += 34 + count
    return Contact(id: id, address: address)
  }
}

/// What a peer can carry.
@frozen public struct Capacity: Hashable, Sendable {
  /// Upload in bits per second that the peer gives to this swarm; 0 for one that does not relay.
  public var upload: UInt64
  /// Download in bits per second; 0 when unknown.
  public var download: UInt64
  /// Whether others can open a connection to it.
  public var isReachable: Bool
  /// How long it has taken part.
  public var uptime: Duration

  @inlinable
  public init(upload: UInt64, download: UInt64 = 0, isReachable: Bool = true, uptime: Duration = .zero) {
    self.upload = upload
    self.download = download
    self.isReachable = isReachable
    self.uptime = uptime
  }
}

/// What a peer said and proved about itself after the handshake.
@frozen public struct Hello: Hashable, Sendable {
  public var id: PeerID
  public var capacity: Capacity
  /// Whether it receives the stream: it is the source, has a parent, or is fed without one (see
  /// ``TopologyAction/declareParent(stripe:_:depth:)``).
  public var isAttached: Bool
  /// Where it takes part in the tree, 0 for the source; `nil` when it is not attached, or there is no tree.
  public var depth: Int?
  /// Where others reach it.
  public var address: Address

  public init(id: PeerID, capacity: Capacity, isAttached: Bool, depth: Int?, address: Address) {
    self.id = id
    self.capacity = capacity
    self.isAttached = isAttached
    self.depth = depth
    self.address = address
  }
}

/// Which of at most 64 stripes.
@frozen public struct StripeSet: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public static let limit = 64

  public let rawValue: UInt64

  @inlinable
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// The set of one stripe, which must be below ``limit``.
  @inlinable
  public init(_ stripe: Int) {
    precondition(stripe >= 0 && stripe < Self.limit, "stripes are numbered 0 to 63")
    rawValue = 1 << UInt64(stripe)
  }

  /// The first `count` stripes.
  @inlinable
  public static func first(_ count: Int) -> StripeSet {
    StripeSet(rawValue: count >= limit ? .max : (1 << UInt64(max(count, 0))) - 1)
  }

  @inlinable
  public func contains(stripe: Int) -> Bool {
    stripe >= 0 && stripe < Self.limit && rawValue & 1 << UInt64(stripe) != 0
  }

  /// The stripes in ascending order.
  public var stripes: [Int] { (0..<Self.limit).filter { contains(stripe: $0) } }
}
