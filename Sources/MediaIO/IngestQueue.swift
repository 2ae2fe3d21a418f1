internal import CFFmpeg

/// What the thread that reads hands to the thread that writes.
struct IngestQueue {
  /// How far the reader may run ahead: packets, and bytes in them.
  static let packetLimit = 512
  static let byteLimit = 16 << 20
  /// The longest stretch over which streams are put in order of their decoding times.
  static let interleaving: Int64 = Timeline.rate
  /// How many notices are kept.
  static let noticeLimit = 64

  enum End: Equatable {
    case finished
    case failed(String)
  }

  private(set) var packets: [Packet] = []
  private var bytes = 0
  private let streams: Int
  private let isOrdered: Bool
  var end: End?
  var isStopped = false
  private(set) var notices: [String] = []

  /// An ordered queue interleaves its streams by decoding time, at the price of waiting for each other.
  init(streams: Int, isOrdered: Bool) {
    self.streams = streams
    self.isOrdered = isOrdered
  }

  var isFull: Bool { packets.count >= Self.packetLimit || bytes >= Self.byteLimit }

  mutating func push(_ packet: Packet) {
    packets.append(packet)
    bytes += packet.size
  }

  /// Takes the packet that is to be sent next, or nil when that is not known yet.
  mutating func pop() -> Packet? {
    guard !packets.isEmpty else { return nil }
    var index = 0
    if isOrdered {
      var lowest = Int64.max
      var highest = Int64.min
      var present: UInt64 = 0
      for (position, packet) in packets.enumerated() {
        let time = unsafe packet.pointer.pointee.dts
        if time < lowest { (lowest, index) = (time, position) }
        highest = max(highest, time)
        present |= 1 << UInt64(packet.stream & 63)
      }
      let isDecided =
        present.nonzeroBitCount >= streams || highest - lowest >= Self.interleaving || isFull || end != nil
      guard isDecided else { return nil }
    }
    let packet = packets.remove(at: index)
    bytes -= packet.size
    return packet
  }

  mutating func note(_ notice: String) {
    if notices.count < Self.noticeLimit && !notices.contains(notice) { notices.append(notice) }
  }
}
