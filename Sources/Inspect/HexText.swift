public import PluginKit

/// Datagrams in hexadecimal digits, as people paste them.
///
/// A line of digits is a datagram. Lines that begin with an offset belong together, as `xxd`, `hexdump -C`,
/// `tcpdump -x` and Wireshark's "follow" print them, until an offset of 0, an empty line, or the other side's turn, which
/// Wireshark indents. A line `TIME SOURCE > DESTINATION` before a datagram is tcpdump's. Comments begin with `#`.
///
/// "Follow" counts on from one datagram to the next, so that only a line that is not full shows where one ends.
public struct HexText: Sendable {
  /// The longest line that is read, in bytes: a datagram with a space behind each byte.
  public static let limit = 3 * 65_535
  /// The most bytes of a datagram, with all headers.
  static let datagramLimit = 65_535 + 64

  /// A datagram, or the frame that it came in, with what the text says of it.
  public struct Piece: Hashable, Sendable {
    public internal(set) var bytes: [UInt8]
    /// Since the Unix epoch, or less than a year since some midnight where no day is named.
    public internal(set) var time: Duration?
    public internal(set) var source: Address?
    public internal(set) var destination: Address?
  }

  /// What a line above says of the next datagram.
  private var header = HexHeader()
  /// The datagram whose lines are coming in.
  private var piece: Piece?
  /// How the lines of the datagram are indented.
  private var isIndented = false
  /// Where the next line goes on, by indentation; "follow" counts each side's bytes.
  private var ends = [0, 0]
  /// Whether the last line goes on in one that follows it: programs that put no colon behind offsets fill their lines.
  private var isFull = false
  /// Whether lines like the last were left out, for which there is a `*`.
  private var isSqueezed = false
  private var lastRow: [UInt8] = []

  public init() {}

  /// Reads the next line, without its end.
  ///
  /// - Returns: the datagrams that are whole now.
  /// - Throws: one sentence on what is wrong.
  public mutating func read(_ line: some Collection<UInt8>) throws(HexError) -> [Piece] {
    guard line.count <= Self.limit else { throw HexError("it is longer than a datagram can be") }
    let text = String(decoding: line, as: UTF8.self)
    let words = text.split { $0 == " " || $0 == "\t" || $0 == "\r" || $0 == "\r\n" }
    guard let first = words.first else { return finish() }
    if first.hasPrefix("#") { return [] }
    if first == "*", words.count == 1, piece != nil {
      isSqueezed = true
      return []
    }
    let (isBegun, ends, isSqueezed) = (piece != nil, ends, isSqueezed)
    let row = try HexRow(text) { offset, isIndented in
      let end = ends[isIndented ? 1 : 0]
      return isBegun && (offset == end || isSqueezed && offset > end)
    }
    if let row { return try add(row) }
    var pieces = finish()
    if try header.read(words) { return pieces }
    guard let bytes = try HexRow.bytes(line) else { return pieces }
    pieces.append(begin(bytes))
    return pieces
  }

  /// The datagram that was not ended by what follows it.
  public mutating func finish() -> [Piece] {
    defer {
      piece = nil
      isSqueezed = false
    }
    return piece.map { [$0] } ?? []
  }

  private mutating func begin(_ bytes: [UInt8]) -> Piece {
    let ends = header.take()
    return Piece(bytes: bytes, time: ends.time, source: ends.source, destination: ends.destination)
  }

  private mutating func add(_ row: HexRow) throws(HexError) -> [Piece] {
    let side = row.isIndented ? 1 : 0
    // Nothing but the length of the whole, which hexdump prints last.
    if row.bytes.isEmpty, piece != nil, row.offset >= ends[side] {
      try squeeze(upTo: row.offset, side)
      return finish()
    }
    if isSqueezed, row.isIndented == isIndented, row.offset > ends[side] {
      try squeeze(upTo: row.offset, side)
    }
    guard row.offset == 0 || row.offset == ends[side] else {
      throw HexError("its offset \(row.offset) does not follow the line before, which ends at \(ends[side])")
    }
    var pieces: [Piece] = []
    if row.offset == 0 || row.isIndented != isIndented || !isFull || piece == nil {
      pieces = finish()
      piece = begin([])
    }
    guard let count = piece?.bytes.count, count + row.bytes.count <= Self.datagramLimit else {
      throw HexError("it is longer than a datagram can be")
    }
    piece?.bytes += row.bytes
    isIndented = row.isIndented
    isFull = row.isMarked || row.bytes.count == 16
    ends[side] = row.offset + row.bytes.count
    lastRow = row.bytes
    return pieces
  }

  /// Repeats the last line up to an offset.
  private mutating func squeeze(upTo end: Int, _ side: Int) throws(HexError) {
    defer { isSqueezed = false }
    guard isSqueezed, !lastRow.isEmpty else { return }
    guard (end - ends[side]) % lastRow.count == 0, let count = piece?.bytes.count,
      end - ends[side] <= Self.datagramLimit - count
    else { throw HexError("its offset \(end) does not follow the lines that were left out") }
    while ends[side] < end {
      piece?.bytes += lastRow
      ends[side] += lastRow.count
    }
  }
}

/// What is wrong with a line, as the end of a sentence.
public struct HexError: Error, Hashable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
