import Integrity
import PluginKit
import Testing
import Wire

@testable import Swarm

/// Who sends in the name of an address must not make us send more there than it sent itself (RFC 7574, section 12.1).
@Suite struct `An address that has shown nothing` {
  /// What somebody can do who never sees our answers.
  private enum Deed: CaseIterable {
    case knock, knockWithAnotherChannel, knockBarely, knockForAnotherSwarm, knockAndAsk, knockAndClose
    case sayNothing, sayHave, request, acknowledge, cancel, choke, unchoke, askForPeers, data, hello
    case close, closeBarely, garbage, wait, waitLong
  }

  private static let bare = HandshakeOptions(
    version: 1,
    minimumVersion: 1,
    swarmID: (try? Foe.key().swarmID.bytes) ?? [],
    integrity: .signAll,
    signatureAlgorithm: (try? Foe.key().algorithm.rawValue) ?? 0,
    addressing: .chunkRanges32,
    discardWindow: 1,
    chunkSize: Foe.chunkSize
  )

  /// A datagram, none for the passing of time.
  private func datagram(_ deed: Deed, guess: UInt32) -> [UInt8]? {
    var bytes: [UInt8] = []
    func begin(_ channel: UInt32) { WireFormat.appendChannel(channel, to: &bytes) }
    func knock(_ source: UInt32, _ options: HandshakeOptions) {
      begin(0)
      WireFormat.appendHandshake(source: source, options, to: &bytes)
    }
    let format = Foe.format
    switch deed {
    case .knock: knock(7, Self.bare)
    case .knockWithAnotherChannel: knock(guess | 8, Self.bare)
    case .knockBarely:
      begin(0)
      WireFormat.appendHandshake(source: 1, HandshakeOptions(version: 1), to: &bytes)
    case .knockForAnotherSwarm:
      var options = Self.bare
      options.swarmID = [15] + [UInt8](repeating: 3, count: 32)
      knock(7, options)
    case .knockAndAsk:
      knock(7, Self.bare)
      format.appendRequest(0...1000, to: &bytes)
      WireFormat.appendPexRequest(to: &bytes)
    case .knockAndClose:
      knock(7, Self.bare)
      WireFormat.appendClosingHandshake(to: &bytes)
    case .sayNothing: begin(guess)
    case .sayHave:
      begin(guess)
      format.appendHave(0...1000, to: &bytes)
    case .request:
      begin(guess)
      format.appendRequest(0...1000, to: &bytes)
    case .acknowledge:
      begin(guess)
      format.appendAck(0...1000, delay: 0, to: &bytes)
    case .cancel:
      begin(guess)
      format.appendCancel(0...1000, to: &bytes)
    case .choke:
      begin(guess)
      WireFormat.appendChoke(to: &bytes)
    case .unchoke:
      begin(guess)
      WireFormat.appendUnchoke(to: &bytes)
    case .askForPeers:
      begin(guess)
      WireFormat.appendPexRequest(to: &bytes)
    case .data:
      begin(guess)
      format.appendDataHeader(3, timestamp: 0, to: &bytes)
      bytes += [1, 2, 3]
    case .hello:
      begin(guess)
      unsafe WireFormat.appendExtension(
        kind: Extension.Kind.hello.rawValue,
        body: [UInt8](repeating: 1, count: 8).span.bytes,
        to: &bytes
      )
    case .close:
      begin(guess)
      WireFormat.appendClosingHandshake(to: &bytes)
    case .closeBarely:
      begin(0)
      WireFormat.appendClosingHandshake(to: &bytes)
    case .garbage: bytes = [0, 0, 0, 0, 0xFF, 0xFF]
    case .wait, .waitLong: return nil
    }
    return bytes
  }

  /// The bytes that left for an address since the last look.
  private func sent(by victim: inout Peer, to address: Address) -> Int {
    var count = 0
    victim.flush { packets, _, _, _ in
      for index in packets.indices where packets[index].address == address {
        count += packets[index].head.range.count + packets[index].body.range.count
      }
    }
    return count
  }

  @Test(arguments: [Role.source, .relay])
  func `is never sent more than came from it, whatever four datagrams say`(role: Role) throws {
    var victim = try Foe.victim(role)
    var now = Duration.zero
    if role == .source {
      for chunk in 0..<8 as Range<UInt64> {
        let payload = [UInt8](repeating: 1, count: Foe.chunkSize)
        try unsafe victim.publish(
          chunk: chunk,
          payload: payload.span.bytes,
          isEntry: true,
          isLast: false,
          now: now
        )
      }
    }
    let deeds = Deed.allCases
    var worst = 0.0
    var number: UInt32 = 0
    // Every sequence comes from an address of its own, and the shorter ones are the beginnings of the longer.
    let sequences = deeds.count * deeds.count * deeds.count * deeds.count
    // Unoptimised, a part of the four-datagram sequences that is spread over all of them.
    let step = Scene.isOptimised ? 1 : 3
    for sequence in stride(from: 0, to: sequences, by: step) {
      number += 1
      let address = Address(ipv4: 0x2D00_0000 + number, port: 9)
      var (received, answered) = (0, 0)
      var rest = sequence
      for _ in 0..<4 {
        let deed = deeds[rest % deeds.count]
        rest /= deeds.count
        if let bytes = datagram(deed, guess: number &* 2_654_435_761) {
          received += bytes.count
          victim.receive(bytes.span, from: address, now: now)
        } else {
          now += deed == .wait ? .milliseconds(50) : .seconds(2)
          victim.timeout(now: now)
        }
        answered += sent(by: &victim, to: address)
        guard answered <= received else {
          Issue.record("sequence \(sequence): \(answered) bytes for \(received)")
          return
        }
        if received > 0 { worst = max(worst, Double(answered) / Double(received)) }
      }
    }
    print("\(role): at most \(worst) bytes for each that came")
    #expect(worst > 0.2, "the first handshakes were answered")
    #expect(victim.statistics(now: now).peers == 0)
  }
}
