import FuzzSupport
import Integrity
import PluginKit
import Swarm

/// No input stops a peer, fills it or has something false read, and nobody but those it talks to is sent much.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  var script = Script(start, count)
  let first = script.byte()
  let stage = Stage.of(Variant(first))
  let who = Int(first & 1)
  var peer = stage.peers[who]
  var now = stage.now
  let seen = stage.seen[who]
  let stranger = Address(ipv4: 0x0A63_0001, port: 9)
  var forgery = try? Forgery(stage)
  var heard = 0
  var told = 0
  /// The channel that the stranger was told; who uses it has proved to be where it says it is.
  var channel: [UInt8] = []
  var isReachable = false
  while !script.isEmpty {
    let what = script.byte()
    var datagram: [UInt8]
    switch what & 3 {
    case 0:
      now += .milliseconds(Int(script.byte()) * (what & 4 == 0 ? 1 : 40))
      if let time = peer.nextTimeout, time <= now { peer.timeout(now: now) }
      // Lets it ask again.
      if what & 0xE0 == 0xE0 { peer.discovered([(address: Stage.addresses[1 - who], id: nil)], now: now) }
      datagram = []
    case 1:
      datagram = script.take(Int(script.byte()))
    case 2:
      // On an open channel.
      datagram = Array((seen.last ?? []).prefix(4))
      if what & 0x80 == 0 {
        datagram += script.take(Int(script.byte()))
      } else {
        for _ in 0...(what >> 4 & 7) { forgery?.append(&script, to: &datagram) }
      }
    default:
      // Something that was really said, with a few bytes changed.
      datagram = seen[Int(script.byte()) % seen.count]
      for _ in 0..<(what >> 4) {
        let place = Int(script.byte()) | Int(what & 8) << 5
        let value = script.byte()
        if place < datagram.count { datagram[place] = value }
      }
    }
    if what & 3 != 0 {
      let from = what & 4 == 0 ? Stage.addresses[1 - who] : stranger
      if from == stranger {
        heard += datagram.count
        if !channel.isEmpty, datagram.starts(with: channel) { isReachable = true }
      }
      peer.receive(datagram.span, from: from, now: now)
    }
    peer.flush { packets, heads, _, _ in
      for index in packets.indices where packets[index].address == stranger {
        // Behind the receiver's channel and the type of a HANDSHAKE comes the sender's.
        let place = Int(packets[index].head.range.lowerBound) + 5
        if channel.isEmpty, packets[index].head.count >= 9 {
          channel = (place..<place + 4).map { heads.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
        }
        told += Int(packets[index].head.count) + Int(packets[index].body.count)
      }
    }
    precondition(isReachable || told <= heard, "more was said to a stranger than it said")
    let isTrusted = stage.variant.integrity != .none && forgery?.isSigned != true
    peer.read(now: now) { chunk, payload, _, _, _ in
      guard isTrusted else { return }
      precondition(chunk < UInt64(stage.payloads.count), "a chunk that nobody published was read")
      let isTrue = payload.withUnsafeBytes { $0.elementsEqual(stage.payloads[Int(chunk)]) }
      precondition(isTrue, "a chunk was read that is not what was published")
    }
    _ = peer.takeNotices()
    peer.checkBounds()
  }
  peer.leave(now: now)
  peer.timeout(now: now + .seconds(10))
  precondition(peer.hasLeft, "it cannot leave")
  return 0
}
