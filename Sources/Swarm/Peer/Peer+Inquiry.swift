package import PluginKit

// What a simulated world asks to find out why a chunk did not come.
extension Peer {
  /// Where the declared parent of a chunk's stripe is; nil when there is none.
  package func parent(of chunk: UInt64) -> Address? {
    guard !courses.isEmpty else { return nil }
    let stripe = stripe(of: chunk)
    return courses[course(of: chunk)].parents.first { $0.stripe == stripe }.flatMap {
      directory[$0.peer]?.address
    }
  }

  /// Whether nobody feeds it.
  package var isDetached: Bool { !isAttached }

  /// Whether a chunk has not come, and is not too old to be held.
  package func lacks(_ chunk: UInt64) -> Bool { !window.contains(chunk) && chunk >= window.first }

  /// Whether a chunk waits to be sent to an address.
  package func isWaiting(_ chunk: UInt64, for address: Address) -> Bool {
    channels.indices.contains { index in
      guard channels[index].isOpen, channels[index].address == address else { return false }
      let (queue, urgent) = (channels[index].queue, channels[index].urgent)
      return (0..<queue.count).contains { queue[$0].chunk == chunk }
        || (0..<urgent.count).contains { urgent[$0].chunk == chunk }
    }
  }

  /// Whether somebody was asked for a chunk that has not come: true when it was a topology's wish, false when it is repair.
  package func request(for chunk: UInt64) -> Bool? {
    guard let entry = missing(chunk), entry.source != nil else { return nil }
    return entry.isWish
  }
}
