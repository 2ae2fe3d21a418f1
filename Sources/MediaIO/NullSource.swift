internal import Threads

/// A stream at an even pace in which there is nothing to see: for measurements.
///
/// Written as `null:RATE`, in bits of payload per second, like `null:1M`. It is MPEG-TS of null packets; each second
/// begins with a chunk that looks like an entry. A chunk is due when all its bytes are, counted from the first one, so
/// that the pace does not drift.
public final class NullSource: ChunkSource {
  /// What an input that names such a stream begins with.
  package static let prefix = "null:"
  private static let rates: ClosedRange<UInt64> = 1_000...1_000_000_000

  private struct State {
    var isStopped = false
  }

  private let input: String
  private let chunkSize: Int
  private let isVariable: Bool
  private let rate: UInt64?
  private let state = Monitor(State())

  /// - Parameters:
  ///   - input: `null:RATE`; what is wrong with it, ``open()`` says.
  ///   - chunkSize: the length of a chunk, a positive multiple of 188.
  ///   - isVariable: whether chunks may have other lengths; then the last one is empty.
  public init(_ input: String, chunkSize: Int, isVariable: Bool = false) {
    self.input = input
    self.chunkSize = chunkSize
    self.isVariable = isVariable
    rate = Self.rate(input.dropFirst(Self.prefix.count))
  }

  private static func rate(_ text: Substring) -> UInt64? {
    let factor: UInt64 =
      switch text.last {
      case "k": 1_000
      case "M": 1_000_000
      default: 1
      }
    let digits = factor == 1 ? text : text.dropLast()
    guard digits.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let number = UInt64(digits) else { return nil }
    let (rate, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow || !rates.contains(rate) ? nil : rate
  }

  public func open() throws(MediaError) {
    guard rate != nil else {
      throw MediaError(
        "'\(input)' says no rate from 1 kbit/s to 1 Gbit/s: write whole bits per second, like null:800k or null:2M"
      )
    }
    guard chunkSize > 0, chunkSize % TransportStream.packetSize == 0 else {
      throw MediaError("a chunk of \(chunkSize) bytes does not hold whole MPEG-TS packets of 188")
    }
  }

  public func run(groupSize: Int, _ emit: MediaSource.Emit) -> MediaSource.End {
    guard let rate else { return .finished }
    let interval = Int64(UInt64(chunkSize) * 8_000_000_000 / rate)
    let entryDistance = max(1, 1_000_000_000 / max(1, interval))
    let count = chunkSize / TransportStream.packetSize
    let plain = Self.packets(count, isEntry: false)
    let entry = Self.packets(count, isEntry: true)
    let start = monotonicNow()
    var number: Int64 = 0
    while state.wait(until: start + number * interval, { $0.isStopped ? () : nil }) == nil {
      let isEntry = number % entryDistance == 0
      let chunk = isEntry ? entry : plain
      guard unsafe emit(chunk.span.bytes, isEntry, false) else { return .stopped }
      number += 1
    }
    // The last group is filled up, and the last chunk is the short one.
    while groupSize > 1, (number + 1) % Int64(groupSize) != 0 {
      guard unsafe emit(plain.span.bytes, false, false) else { return .stopped }
      number += 1
    }
    _ = unsafe emit(Self.packets(count > 1 && !isVariable ? 1 : 0, isEntry: false).span.bytes, false, true)
    return .stopped
  }

  public func stop() { state.change { $0.isStopped = true } }

  public var isLive: Bool { false }
  public var summary: String { "null packets" }
  public var declaredBitrate: Int64? { rate.map { Int64($0) } }
  public func chunkRate(bitRate: UInt64) -> Double { Double(bitRate) / Double(chunkSize * 8) }
  public var notices: [String] { ["there is nothing to see in this stream: it is for measurements"] }

  /// Null packets; an entry begins with a program association table, and its second packet says that it is one.
  private static func packets(_ count: Int, isEntry: Bool) -> [UInt8] {
    var packets = (0..<count).flatMap { _ in TransportStream.nullPacket }
    guard isEntry, count > 0 else { return packets }
    // A table without programs: its length is 9, and a CRC closes it (ISO/IEC 13818-1, 2.4.4.3).
    let table: [UInt8] = [
      TransportStream.syncByte, 0x40, 0, 0x10, 0, 0, 0xB0, 9, 0, 1, 0xC1, 0, 0, 0xEF, 0x22, 0x62, 0x17,
    ]
    packets.replaceSubrange(0..<table.count, with: table)
    if count > 1 {
      // An adaptation field fills the packet; its one flag is that of a random access point.
      packets.replaceSubrange(191..<194, with: [0x20, 183, 0x40])
    }
    return packets
  }
}
