import PluginKit
import Wire

// Who is served.
extension PeerModel {
  var hasSlot: Bool {
    let rate = measured
    let slots = rate == 0 ? 1 : Int(min(rules.upload / rate, 64))
    return lines.values.count { $0.isServed } < slots
  }

  func mayServe(_ line: Line) -> Bool {
    rules.isSource ? places.contains(line.origin) || places.count < rules.slots : hasSlot
  }

  mutating func consider(_ local: UInt32) {
    guard let line = lines[local] else { return }
    if mayServe(line) {
      serve(local)
    } else {
      lines[local]?.weChoke = true
      lines[local]?.chokedAt = now
      if line.supported.contains(MessageType.choke) { say(local, .choke) }
    }
  }

  mutating func serve(_ local: UInt32) {
    guard let line = lines[local] else { return }
    lines[local]?.isServed = true
    lines[local]?.weChoke = false
    lines[local]?.used = now
    lines[local]?.asked = now
    lines[local]?.wantsHaves = true
    places.insert(line.origin)
  }
}
