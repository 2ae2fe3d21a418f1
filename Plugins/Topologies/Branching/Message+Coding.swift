internal import Coding
import PluginKit

// A view and an offer as bytes.
extension Writer {
  mutating func write(_ view: View) {
    write(view.sequence)
    write(view.standing.rawValue)
    write(UInt16(clamping: view.depth))
    write(view.pulse)
    write(view.rank)
    write(view.path, limit: View.pathLimit) { $0.write($1) }
    write(view.siblings, limit: View.siblingLimit)
    write(view.ancestors, limit: View.ancestorLimit)
    write(view.refuges, limit: View.refugeLimit)
    write(view.root.map { [$0] } ?? [], limit: 1)
    write(view.census.peers)
    write(view.census.slots)
    write(view.census.bar)
  }
}

extension Reader {
  mutating func standing() -> Standing? { read(UInt8.self).flatMap(Standing.init) }

  mutating func offer() -> Offer? {
    guard let kind = read(UInt8.self).flatMap(Offer.Kind.init), let depth = read(UInt16.self),
      let lag = read(UInt16.self),
      let slots = read(UInt16.self), let weakest = read(UInt8.self), let contact = contact()
    else { return nil }
    return Offer(kind: kind, depth: depth, lag: lag, slots: slots, weakest: weakest, contact: contact)
  }

  mutating func view() -> View? {
    guard let sequence = read(UInt32.self), let standing = standing(), let depth = read(UInt16.self),
      let pulse = read(UInt64.self), let rank = read(UInt8.self),
      let path = list(limit: View.pathLimit, { $0.read(UInt64.self) }),
      let siblings = list(limit: View.siblingLimit, { $0.contact() }),
      let ancestors = list(limit: View.ancestorLimit, { $0.contact() }),
      let refuges = list(limit: View.refugeLimit, { $0.contact() }),
      let root = list(limit: 1, { $0.contact() }), let peers = read(UInt32.self),
      let slots = read(UInt32.self), let bar = read(UInt8.self)
    else { return nil }
    var view = View(standing: standing, depth: Int(depth), pulse: pulse, path: path)
    view.sequence = sequence
    view.rank = rank
    view.siblings = siblings
    view.ancestors = ancestors
    view.refuges = refuges
    view.root = root.first
    view.census = Census(peers: peers, slots: slots, bar: bar)
    return view
  }
}
