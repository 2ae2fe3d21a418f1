import Integrity
import Lab
import PluginKit
import Testing
import Wire

@testable import Swarm

/// RFC 7574, section 5.3: a chunk whose hashes are missing is dropped; what that costs.
@Suite struct `A chunk of content whose hashes are missing` {
  private static let roundTrip: Duration = .milliseconds(40)
  private static let chunkSize = 1400
  private static let chunkCount: UInt64 = 429

  /// What a fetch took.
  private struct Course {
    /// Chunks that came without their hashes.
    var dropped: UInt64 = 0
    /// When each chunk was sent.
    var sent: [UInt64: [Duration]] = [:]

    /// How long after the first time a chunk was sent again.
    var delays: [Duration] {
      sent.values.flatMap { times in zip(times, times.dropFirst()).map { $1 - $0 } }
    }
  }

  /// Fetches over a way on which one datagram of hashes is lost, from the `place`th on of all.
  private func fetch(seed: UInt64, losing place: Int) throws -> Course {
    // Chunks so long that hashes go first, in datagrams of their own (section 5.4).
    let scene = try ContentScene(
      seed: seed,
      bytes: Int(Self.chunkCount) * Self.chunkSize - 99,
      chunkSize: Self.chunkSize,
      function: .sha512,
      path: Path(delay: Self.roundTrip / 2)
    )
    let seeder = try scene.seeder()
    var course = Course()
    var (number, hasLost) = (0, false)
    seeder.rewrite = { bytes, _, now in
      guard bytes.count > 4 else { return [bytes] }
      number += 1
      if bytes[4] == MessageType.data {
        let chunk = bytes[5..<9].reduce(0) { $0 << 8 | UInt64($1) }
        course.sent[chunk, default: []].append(now)
      } else if bytes[4] == MessageType.integrity, bytes.count < Self.chunkSize, number >= place,
        !hasLost
      {
        hasLost = true
        return []
      }
      return [bytes]
    }
    let fetcher = try scene.fetcher(from: [seeder], .inOrder)
    #expect(scene.finish([fetcher], within: .seconds(60)), "seed \(seed)")
    scene.expectWhole(fetcher)
    #expect(hasLost == (place < .max), "seed \(seed)")
    course.dropped = fetcher.peer.statistics(now: scene.world.now).late
    return course
  }

  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func `is asked for again, and sent once more with them, behind what was asked for before`(seed: UInt64)
    throws
  {
    let clean = try fetch(seed: seed, losing: .max)
    #expect(clean.dropped == 0 && clean.delays.isEmpty, "seed \(seed)")
    #expect(clean.sent.count == Self.chunkCount)
    for place in stride(from: 40 + Int(seed), to: 400, by: 37) {
      let course = try fetch(seed: seed, losing: place)
      // No more than lie below the hashes that are missing are sent again, each once.
      #expect((1...64).contains(course.dropped), "seed \(seed), place \(place)")
      #expect(course.delays.count == Int(course.dropped), "seed \(seed), place \(place)")
      // A round trip, and what 256 chunks take that were asked for before, at the slow start of a fetch.
      let longest = course.delays.max() ?? .zero
      #expect(longest <= .milliseconds(400), "seed \(seed), place \(place): \(longest)")
    }
  }
}
