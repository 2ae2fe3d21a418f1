import PluginKit
import Testing

@testable import Mesh

@Suite struct `Shares of a stream` {
  private let peers: [PeerRef] = (0..<10).map { PeerRef($0) }

  @Test func `are as uploads are, while these carry the stream`() {
    var shares = Shares()
    // 2 Mbit/s to ten peers take nine copies; two of 12 Mbit/s and eight of 1.8 Mbit/s have room for more.
    shares.divide(
      among: peers.map { ($0, $0.number < 2 ? 12_000 : 1800) },
      rate: 2_000_000
    )
    #expect(shares.all.count == 11 && shares.all[10] < 1e-9)
    #expect(abs(shares.all[0] / shares.all[5] - 12_000 / 1800) < 1e-9)
    #expect(abs(shares.all.reduce(0, +) - 1) < 1e-9)
    // Nobody is to send more than it has.
    for (index, part) in shares.all.prefix(10).enumerated() {
      #expect(part * 9 * 2000 <= (index < 2 ? 12_000 : 1800))
    }
  }

  @Test func `leave to the source what the peers cannot carry, up to the greatest rate there is`() {
    var shares = Shares()
    shares.divide(among: peers.map { ($0, 1000) }, rate: 2_000_000)
    // Each passes on a part of 1 / 18 and relies on nine tenths of that.
    for part in shares.all.prefix(10) { #expect(abs(part - 0.9 / 18) < 1e-9) }
    #expect(abs(shares.all[10] - 0.5) < 1e-9)
    var silent = Shares()
    silent.divide(among: peers.map { ($0, 0) }, rate: 2_000_000)
    #expect(silent.all == [Double](repeating: 0, count: 10) + [1])
  }

  @Test func `come out chunk by chunk, and a word about more upload than there can be counts little`() {
    var shares = Shares()
    shares.divide(among: peers.map { ($0, $0.number == 0 ? .max : 4000) }, rate: 1_000_000)
    var counts: [PeerRef: Int] = [:]
    for _ in 0..<2500 {
      if let peer = shares.next() { counts[peer, default: 0] += 1 }
    }
    // Sixteen copies against four of each of the nine others.
    #expect(counts[peers[0]].map { abs($0 - 2500 * 16 / 52) <= 1 } == true)
    #expect(peers.dropFirst().allSatisfy { abs((counts[$0] ?? 0) - 2500 * 4 / 52) <= 2 })
    var nobody = Shares()
    #expect(nobody.next() == nil)
    nobody.divide(among: [], rate: 1000)
    #expect(nobody.next() == nil)
  }
}
