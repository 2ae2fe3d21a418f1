import FuzzSupport
import Integrity
import PluginKit
import Swarm

/// No input stops who serves or fetches a file, fills it or has it keep a false byte; and in the end it comes through.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  var script = Script(start, count)
  let variant = Variant(script.byte())
  let choice = Int(script.byte())
  let who = choice & 1 == 0 ? Stage.seeder : Stage.fetcher
  var stage = Stage.of(variant, at: choice >> 1)
  // The one whose words are made up says nothing of its own: only what it said before is of interest.
  stage.peers.removeLast()
  stage.underWay.removeAll { $0.from == Stage.foe || $0.to == Stage.foe }
  let forgery = Forgery(stage)
  var (heard, told) = (0, 0)
  while !script.isEmpty {
    let what = script.byte()
    let other = what & 0x80 == 0 ? Stage.foe : 1 - who
    let said = stage.said[other][who]
    var datagram: [UInt8] = []
    var from = Stage.addresses[other]
    switch what & 7 {
    case 0: stage.now += .milliseconds(Int(script.byte()) * (what & 8 == 0 ? 1 : 40))
    case 1:
      // Anything, from a stranger.
      from = Stage.addresses[Stage.newcomer]
      datagram = what & 8 == 0 ? [0, 0, 0, 0] + script.take(Int(script.byte())) : said.first ?? []
      heard += datagram.count
    case 2:
      // On an open channel.
      datagram = Array((said.last ?? []).prefix(4)) + script.take(Int(script.byte()))
    case 3, 4, 5:
      datagram = Array((said.last ?? []).prefix(4))
      for _ in 0...(what >> 4 & 7) { forgery.append(&script, to: &datagram) }
    case 6 where !said.isEmpty:
      // Something that was really said, with a few bytes changed.
      datagram = said[Int(script.byte()) % said.count]
      for _ in 0..<(what >> 4 & 7) {
        let place = Int(script.byte()) | Int(what & 8) << 5
        let value = script.byte()
        if place < datagram.count { datagram[place] = value }
      }
    default:
      // The honest ones go on, over a way that loses what the next byte says.
      let losses = what & 8 == 0 ? 0 : script.byte()
      var number = 0
      stage.now += .milliseconds(5)
      stage.deliver { _ in
        number += 1
        return losses >> UInt8(number & 7) & 1 == 0
      }
    }
    if !datagram.isEmpty { stage.peers[who].receive(datagram.span, from: from, now: stage.now) }
    let before = stage.said[who][Stage.newcomer].count
    stage.act()
    told += stage.said[who][Stage.newcomer][before...].reduce(0) { $0 + $1.count }
    precondition(told <= heard, "more was said to a stranger than it said")
    for number in stage.peers.indices {
      stage.checkBounds(of: number)
      stage.checkContent(of: number)
    }
  }
  stage.finish(who)
  stage.peers[who].leave(now: stage.now)
  stage.peers[who].timeout(now: stage.now + .seconds(10))
  precondition(stage.peers[who].hasLeft, "it cannot leave")
  return 0
}

extension Stage {
  /// All others are gone; somebody honest comes, and the content goes from one to the other whole.
  mutating func finish(_ who: Int) {
    let limit = now + .seconds(120)
    let isServing = who == Self.seeder
    do {
      // Only the number of a place in the list is theirs.
      var newcomer = try peer(Self.newcomer, serves: !isServing)
      newcomer.start(bootstrap: [Self.addresses[who]], now: now)
      peers = [peers[who], newcomer]
    } catch { preconditionFailure("nobody new can come: \(error)") }
    let fetcher = isServing ? 1 : 0
    var ways: [[[UInt8]]] = [[], []]
    while !holdsAll(fetcher) {
      precondition(now < limit, "the fetch does not come to its end")
      for number in 0..<2 {
        for datagram in ways[1 - number] {
          let from = Self.addresses[number == 0 ? Self.newcomer : who]
          peers[number].receive(datagram.span, from: from, now: now)
        }
        ways[1 - number] = []
      }
      for number in 0..<2 {
        if let time = peers[number].nextTimeout, time <= now { peers[number].timeout(now: now) }
        attend(number)
        let to = Self.addresses[number == 0 ? Self.newcomer : who]
        ways[number] += peers[number].said().filter { $0.to == to }.map(\.bytes)
      }
      if ways.allSatisfy(\.isEmpty) {
        let next = peers.compactMap(\.nextTimeout).min() ?? limit
        now = max(next, now + .milliseconds(1))
      } else {
        now += .milliseconds(2)
      }
    }
    checkContent(of: fetcher)
  }
}
