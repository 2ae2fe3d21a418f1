/// A line of a dump: an offset, bytes in hexadecimal, and perhaps the same as letters.
struct HexRow {
  /// The most bytes that a program puts into one line.
  private static let limit = 64

  var offset: Int
  var bytes: [UInt8]
  var isIndented: Bool
  /// Whether a colon follows the offset, as xxd and tcpdump write it.
  var isMarked: Bool

  /// Reads a line; nil when it is none of a dump, but may be something else.
  ///
  /// Offsets stand before a colon or a gap; `follows` says whether one goes on where the side's line before has ended.
  init?(_ line: String, follows: (_ offset: Int, _ isIndented: Bool) -> Bool) throws(HexError) {
    var rest = Substring(line)
    while rest.last?.isWhitespace == true { rest.removeLast() }
    let body = rest.drop { $0 == " " || $0 == "\t" }
    // tcpdump indents all of its lines.
    var digits = body.prefix { $0.isHexDigit }
    rest = body.dropFirst(digits.count)
    isIndented = body.count < line.count && line.first?.isWhitespace == true
    if digits == "0", rest.first == "x" {
      digits = rest.dropFirst().prefix { $0.isHexDigit }
      rest = rest.dropFirst(1 + digits.count)
      guard rest.first == ":" else { return nil }
      isIndented = false
    }
    guard 4...8 ~= digits.count, let offset = Int(digits, radix: 16) else { return nil }
    isMarked = rest.first == ":" && (rest.count == 1 || rest.dropFirst().first?.isWhitespace == true)
    if isMarked { rest = rest.dropFirst() }
    let gap = rest.prefix { $0 == " " || $0 == "\t" }.count
    if !isMarked {
      // Digits without a colon may be a datagram's first; an offset is one that fits.
      guard gap >= 2 && offset == 0 || (gap >= 2 || rest.isEmpty) && follows(offset, isIndented) else {
        return nil
      }
    }
    guard offset <= 2 * HexText.datagramLimit || follows(offset, isIndented) else { return nil }
    self.offset = offset
    bytes = []
    rest = rest.dropFirst(gap)
    while !rest.isEmpty {
      let group = rest.prefix { !$0.isWhitespace }
      if group.first == "|" { break }
      guard group.allSatisfy(\.isHexDigit), group.count.isMultiple(of: 2) else {
        throw HexError("it holds something else than hexadecimal digits")
      }
      // A whole datagram behind one gap is no line of a dump.
      guard isMarked || group.count <= 32 else { return nil }
      Self.append(group, to: &bytes)
      guard bytes.count <= Self.limit else { throw HexError("it is longer than a line of a dump") }
      rest = rest.dropFirst(group.count)
      let gap = rest.prefix { $0.isWhitespace }.count
      rest = rest.dropFirst(gap)
      // Behind a wide gap stand the letters, but for the one in the middle of sixteen bytes.
      let next = rest.prefix { !$0.isWhitespace }
      let isMiddle = gap == 2 && bytes.count == 8 && group.count == 2 && next.count == 2
      if gap >= 2, !isMiddle || !next.allSatisfy(\.isHexDigit) { break }
    }
  }

  private static func append(_ digits: Substring, to bytes: inout [UInt8]) {
    var high: Int?
    for value in digits.compactMap(\.hexDigitValue) {
      if let half = high {
        bytes.append(UInt8(half << 4 | value))
        high = nil
      } else {
        high = value
      }
    }
  }

  /// The bytes of a line that is a whole datagram; nil for an empty one.
  ///
  /// Spaces, colons and commas between bytes and `0x` before them are left out.
  static func bytes(_ line: some Collection<UInt8>) throws(HexError) -> [UInt8]? {
    var bytes: [UInt8] = []
    var high: UInt8?
    var isEmpty = true
    for letter in line {
      switch letter {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: ":"), UInt8(ascii: ","):
        guard high == nil else { throw HexError("a byte has one digit") }
        continue
      case UInt8(ascii: "x"), UInt8(ascii: "X"):
        guard high == 0 else { throw HexError("there is an 'x' where a digit belongs") }
        high = nil
        continue
      default: break
      }
      isEmpty = false
      guard let digit = Character(UnicodeScalar(letter)).hexDigitValue.map({ UInt8($0) }) else {
        throw HexError("it holds something else than hexadecimal digits")
      }
      if let half = high {
        bytes.append(half << 4 | digit)
        high = nil
      } else {
        high = digit
      }
    }
    guard high == nil else { throw HexError("its number of digits is odd") }
    guard bytes.count <= 65_535 else { throw HexError("it is longer than a datagram can be") }
    return isEmpty ? nil : bytes
  }
}
