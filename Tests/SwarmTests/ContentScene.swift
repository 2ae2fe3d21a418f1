import Integrity
import Lab
import PluginKit
import Support
import Swarm
import Testing
import Wire

/// Content on a simulated network, with those who serve it and those who fetch it.
final class ContentScene {
  let world: World
  let bytes: [UInt8]
  let chunkSize: Int
  let tree: MerkleTree
  let addressing: ChunkAddressing
  private let seed: UInt64
  private var number: UInt32 = 0

  init(
    seed: UInt64,
    bytes count: Int = 300_000,
    chunkSize: Int = 1024,
    function: HashFunction = .sha256,
    addressing: ChunkAddressing = .chunkRanges32,
    path: Path = Path(delay: .milliseconds(5))
  ) throws {
    self.seed = seed
    self.chunkSize = chunkSize
    self.addressing = addressing
    world = World(seed: seed) { _, _ in path }
    var random = SplitMix64(seed: seed)
    bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    tree = try Self.tree(of: bytes, function, chunkSize)
  }

  static func tree(of bytes: [UInt8], _ function: HashFunction, _ chunkSize: Int) throws -> MerkleTree {
    var builder = try MerkleTree.Builder(function, chunkSize: chunkSize)
    for start in stride(from: 0, to: bytes.count, by: chunkSize) {
      let chunk = Array(bytes[start..<min(start + chunkSize, bytes.count)])
      try unsafe builder.append(chunk.span.bytes)
    }
    return try builder.finish()
  }

  var chunkCount: UInt64 { UInt64((bytes.count + chunkSize - 1) / chunkSize) }

  /// Somebody who has all of it.
  @discardableResult
  func seeder(at time: Duration? = nil, configure: @escaping (inout PeerConfiguration) -> Void = { _ in })
    throws -> ContentHost
  {
    let memory = ContentMemory(byteCount: bytes.count)
    let bytes = bytes
    unsafe memory.write(bytes.span.bytes, at: 0)
    return add("seeder", Content(tree, memory), memory, at: time, configure)
  }

  /// Somebody who wants all of it and asks the hosts at `sources`.
  @discardableResult
  func fetcher(
    from sources: [ContentHost],
    _ order: Content.Order = .rarestFirst,
    at time: Duration? = nil,
    configure: @escaping (inout PeerConfiguration) -> Void = { _ in }
  ) throws -> ContentHost {
    let content = try Content(fetching: tree.root, chunkSize: chunkSize, order: order)
    return add("fetcher", content, nil, bootstrap: sources.map(\.address), at: time, configure)
  }

  /// Somebody who has some of it.
  @discardableResult
  func holder(
    of chunks: [ChunkRange],
    from sources: [ContentHost] = [],
    configure: @escaping (inout PeerConfiguration) -> Void = { _ in }
  ) throws -> ContentHost {
    let memory = ContentMemory(byteCount: Int(chunkCount) * chunkSize)
    var held = IntervalSet()
    for range in chunks {
      held.insert(range)
      let start = Int(range.lowerBound) * chunkSize
      let end = min(Int(range.upperBound + 1) * chunkSize, bytes.count)
      let part = Array(bytes[start..<end])
      unsafe memory.write(part.span.bytes, at: start)
    }
    let content = Content(resuming: tree, memory, held: held, order: .rarestFirst)
    return add("holder", content, memory, bootstrap: sources.map(\.address), at: nil, configure)
  }

  private func add(
    _ name: String,
    _ content: Content,
    _ memory: ContentMemory?,
    bootstrap: [Address] = [],
    at time: Duration?,
    _ configure: @escaping (inout PeerConfiguration) -> Void
  ) -> ContentHost {
    number += 1
    let host = ContentHost("\(name) \(number)", number: number, seed: seed)
    let (root, chunkSize, addressing) = (tree.root, chunkSize, addressing)
    world.at(time ?? world.now) { world in
      do {
        try host.join(
          root,
          content,
          chunkSize: chunkSize,
          memory: memory,
          bootstrap: bootstrap,
          now: world.now
        ) { configuration in
          configuration.addressing = addressing
          configure(&configuration)
        }
      } catch {
        Issue.record("\(host.name) cannot join: \(error)")
      }
      world.add(host)
    }
    return host
  }

  func run(for time: Duration) { world.run(until: world.now + time) }

  /// Lets time pass until all of some hosts have everything; says whether they have.
  func finish(_ hosts: [ContentHost], within limit: Duration) -> Bool {
    world.run(until: world.now + limit, or: { hosts.allSatisfy { $0.completed != nil } })
  }

  /// Checks that a host has exactly what was seeded.
  func expectWhole(_ host: ContentHost, _ sourceLocation: SourceLocation = #_sourceLocation) {
    let progress = host.progress
    #expect(
      host.content == bytes,
      "seed \(seed), \(host.name): \(progress?.held ?? 0) of \(chunkCount) chunks, \(host.length ?? 0) bytes",
      sourceLocation: sourceLocation
    )
  }
}
