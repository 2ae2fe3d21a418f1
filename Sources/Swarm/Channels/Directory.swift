import PluginKit

/// The peers that one host knows of, by number, id and address.
///
/// At most ``limit``; past it the one that has been idle for longest makes room. A number is never given to another peer
/// before 2²⁰ others have had its slot.
final class Directory: PeerDirectory {
  static let limit = 4096

  struct Entry {
    var reference: PeerRef
    var id: PeerID?
    var address: Address
    var capacity: Capacity?
    var isAttached: Bool?
    /// The channel to it, if there is one.
    var channel: Int?
    /// Where a handshake has shown it to be.
    var heardAt: Address?
    /// Who named it, if nobody else than peer exchange did.
    var hintedBy: Address?
    fileprivate var used: UInt64
    /// Where it was known before, which still leads to it.
    fileprivate var former: Address?
  }

  private var entries: [Entry] = []
  private var byID: [PeerID: Int] = [:]
  private var byAddress: [Address: Int] = [:]
  private var clock: UInt64 = 0

  subscript(reference: PeerRef) -> Entry? {
    get { index(reference).map { entries[$0] } }
    set {
      guard let newValue, let index = index(reference) else { return }
      entries[index] = newValue
    }
  }

  func contact(of peer: PeerRef) -> Contact? {
    guard let index = index(peer), let id = entries[index].id else { return nil }
    return Contact(id: id, address: entries[index].address)
  }

  func peer(for contact: Contact) -> PeerRef {
    let reference = peer(at: contact.address, id: contact.id)
    return reference
  }

  func knows(_ address: Address) -> Bool { byAddress[address] != nil }

  var count: Int { entries.count }

  /// The number of the peer at an address; a new one for a peer that is not known.
  func peer(at address: Address, id: PeerID? = nil) -> PeerRef {
    clock += 1
    if let id, let index = byID[id] {
      entries[index].used = clock
      return entries[index].reference
    }
    if let index = byAddress[address], id == nil || entries[index].id == nil {
      entries[index].used = clock
      if let id { name(index, id) }
      return entries[index].reference
    }
    let index = makeRoom()
    let generation = index < entries.count ? entries[index].reference.number >> 12 &+ 1 : 0
    let entry = Entry(
      reference: PeerRef(generation << 12 | UInt32(index)),
      address: address,
      used: clock
    )
    if index < entries.count { entries[index] = entry } else { entries.append(entry) }
    if byAddress[address] == nil { byAddress[address] = index }
    if let id { name(index, id) }
    return entry.reference
  }

  /// A peer has proven its id: gives its number, which is another one when the id was known under it.
  func prove(_ reference: PeerRef, id: PeerID, address: Address) -> PeerRef {
    guard let index = index(reference) else { return peer(at: address, id: id) }
    if let known = byID[id] {
      move(known, to: address)
      return entries[known].reference
    }
    if let other = entries[index].id, other != id {
      // Somebody else lives at this address now.
      byAddress[entries[index].address] = nil
      return peer(at: address, id: id)
    }
    name(index, id)
    move(index, to: address)
    return reference
  }

  /// A peer says that it is elsewhere; that takes no address which is known as another's.
  private func move(_ index: Int, to address: Address) {
    let old = entries[index].address
    guard old != address else { return }
    forget(entries[index].former, index)
    entries[index].former = old
    entries[index].address = address
    if byAddress[address] == nil { byAddress[address] = index }
  }

  private func forget(_ address: Address?, _ index: Int) {
    if let address, byAddress[address] == index { byAddress[address] = nil }
  }

  private func name(_ index: Int, _ id: PeerID) {
    entries[index].id = id
    byID[id] = index
  }

  private func index(_ reference: PeerRef) -> Int? {
    let index = Int(reference.number & 0xFFF)
    return index < entries.count && entries[index].reference == reference ? index : nil
  }

  private func makeRoom() -> Int {
    guard entries.count >= Self.limit else { return entries.count }
    var oldest: Int?
    for (index, entry) in entries.enumerated() where entry.channel == nil {
      if let candidate = oldest, entries[candidate].used <= entry.used { continue }
      oldest = index
    }
    // There are far fewer channels than entries, so one without a channel exists.
    let index = oldest ?? 0
    if let id = entries[index].id, byID[id] == index { byID[id] = nil }
    forget(entries[index].address, index)
    forget(entries[index].former, index)
    return index
  }
}
