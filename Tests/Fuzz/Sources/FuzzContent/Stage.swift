import Integrity
import PluginKit
import Wire

@testable import Swarm

/// One who serves, one who fetches and one whose words the fuzzer makes up, at some moment of a fetch.
struct Stage {
  static let chunkSize = 96
  /// So little that the hashes of a long function need datagrams of their own.
  static let datagramLimit = 480
  /// Moments that a play can begin at.
  static let moments = 48
  static let addresses = (1...4).map { Address(ipv4: 0x0A00_0000 + UInt32($0), port: 9) }
  static let (seeder, fetcher, foe, newcomer) = (0, 1, 2, 3)

  // One thread runs one input at a time.
  private nonisolated(unsafe) static var made: [Variant: [Stage]] = [:]

  /// A moment of the fetch, which is made when it is first wanted.
  static func of(_ variant: Variant, at moment: Int) -> Stage {
    do {
      let stages = try made[variant] ?? play(variant)
      made[variant] = stages
      return stages[moment % stages.count].copied()
    } catch {
      preconditionFailure("the stage cannot be set: \(error)")
    }
  }

  let variant: Variant
  let bytes: [UInt8]
  let tree: MerkleTree
  var peers: [Peer] = []
  var now = Duration.zero
  /// Datagrams that were said, by who said them and to whom.
  var said: [[[[UInt8]]]]
  /// What is on its way.
  var underWay: [(from: Int, to: Int, bytes: [UInt8])] = []

  private init(_ variant: Variant) throws {
    self.variant = variant
    bytes = (0..<variant.length).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 2) }
    var builder = try MerkleTree.Builder(variant.function, chunkSize: Self.chunkSize)
    for start in stride(from: 0, to: bytes.count, by: Self.chunkSize) {
      let chunk = Array(bytes[start..<min(start + Self.chunkSize, bytes.count)])
      try builder.append(chunk.span.bytes)
    }
    tree = try builder.finish()
    said = Array(repeating: Array(repeating: [], count: 4), count: 4)
  }

  private static func play(_ variant: Variant) throws -> [Stage] {
    var stage = try Stage(variant)
    stage.peers = [try stage.peer(seeder), try stage.peer(fetcher), try stage.peer(foe)]
    for number in stage.peers.indices {
      stage.peers[number].start(bootstrap: addresses[..<number].map { $0 }, now: .zero)
    }
    var stages: [Stage] = []
    for _ in 0..<moments {
      // One way takes five milliseconds.
      stage.now += .milliseconds(5)
      stage.deliver { _ in true }
      stage.act()
      stages.append(stage.copied())
    }
    precondition(stages[moments / 4].holds(fetcher) > 0, "the stage is not set")
    return stages
  }

  /// With memory of its own.
  func copied() -> Stage {
    var stage = self
    for number in stage.peers.indices {
      guard let memory = stage.peers[number].content?.memory else { continue }
      let copy = ContentMemory(byteCount: memory.byteCount)
      copy.write(memory.bytes, at: 0)
      stage.peers[number].content?.memory = copy
    }
    return stage
  }

  var chunkCount: UInt64 { UInt64((bytes.count + Self.chunkSize - 1) / Self.chunkSize) }

  func payload(_ chunk: UInt64) -> [UInt8] {
    let start = Int(chunk) * Self.chunkSize
    return Array(bytes[start..<min(start + Self.chunkSize, bytes.count)])
  }

  /// A peer of its own make: the one who serves at an even number, else one who fetches.
  func peer(_ number: Int, serves: Bool? = nil) throws -> Peer {
    let own = [UInt8](repeating: UInt8(number + 1), count: 32)
    var configuration = PeerConfiguration(
      .content(tree.root),
      role: .relay,
      identity: try PeerIdentity(seed: own.span.bytes),
      address: Self.addresses[number]
    )
    configuration.addressing = variant.addressing
    configuration.chunkSize = Self.chunkSize
    configuration.datagramLimit = Self.datagramLimit
    configuration.seed = UInt64(number)
    configuration.exchange = .everywhere
    // So slow that the fetch is under way for most of the moments.
    configuration.capacity = Capacity(upload: 400_000)
    let content: Content
    if serves ?? (number == Self.seeder) {
      let memory = ContentMemory(byteCount: bytes.count)
      memory.write(bytes.span.bytes, at: 0)
      content = Content(tree, memory)
    } else {
      content = try Content(fetching: tree.root, chunkSize: Self.chunkSize, order: variant.order)
    }
    return try Peer(configuration, content: content, channels: ChannelNumbers(), now: now)
  }

  /// What is on its way arrives, as far as `passes` lets it.
  mutating func deliver(_ passes: (_ from: Int) -> Bool) {
    let arriving = underWay
    underWay = []
    for datagram in arriving where passes(datagram.from) {
      peers[datagram.to].receive(datagram.bytes.span, from: Self.addresses[datagram.from], now: now)
    }
  }

  /// All peers do what is due and say what they have to say.
  mutating func act() {
    for number in peers.indices {
      if let time = peers[number].nextTimeout, time <= now { peers[number].timeout(now: now) }
      attend(number)
      for (datagram, to) in peers[number].said() {
        guard let other = Self.addresses.firstIndex(of: to) else { continue }
        said[number][other].append(datagram)
        if other < peers.count { underWay.append((number, other, datagram)) }
      }
    }
  }

  /// Gives a peer what it asks its host for, and checks what it says of the content.
  mutating func attend(_ number: Int) {
    for notice in peers[number].takeNotices() {
      switch notice {
      case .sized(let chunks):
        precondition(chunks == chunkCount, "\(chunks) chunks instead of \(chunkCount)")
        peers[number].provide(ContentMemory(byteCount: Int(chunks) * Self.chunkSize), now: now)
        attend(number)
      case .length(let length): precondition(length == UInt64(bytes.count), "\(length) bytes")
      case .complete: precondition(holdsAll(number), "it is said to be complete")
      default: break
      }
    }
  }

  func holds(_ number: Int) -> UInt64 { peers[number].content?.held.count ?? 0 }
  func holdsAll(_ number: Int) -> Bool { holds(number) == chunkCount }
}

extension Peer {
  /// The datagrams that are to be sent, and to whom.
  mutating func said() -> [(bytes: [UInt8], to: Address)] {
    var datagrams: [(bytes: [UInt8], to: Address)] = []
    flush { packets, heads, bodies, _ in
      for index in packets.indices {
        let packet = packets[index]
        let head = heads.extracting(packet.head.range).withUnsafeBytes { Array($0) }
        let body = bodies.extracting(packet.body.range).withUnsafeBytes { Array($0) }
        datagrams.append((head + body, packet.address))
      }
    }
    return datagrams
  }
}
