/// A datagram as a line of hexadecimal digits.
public enum HexLine {
  /// The longest line that is read, in bytes: a datagram with a space behind each byte.
  public static let limit = 3 * 65_535

  /// The bytes that a line stands for; nil for an empty line or a comment, which begins with `#`.
  ///
  /// Spaces, colons and commas between bytes and `0x` before them are left out.
  ///
  /// - Throws: one sentence on what is wrong.
  public static func bytes(_ line: some Collection<UInt8>) throws(HexError) -> [UInt8]? {
    guard line.count <= limit else { throw HexError("it is longer than a datagram can be") }
    var bytes: [UInt8] = []
    var high: UInt8?
    var isNew = true
    for letter in line {
      switch letter {
      case UInt8(ascii: "#") where isNew: return nil
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: ":"), UInt8(ascii: ","):
        guard high == nil else { throw HexError("a byte has one digit") }
        continue
      case UInt8(ascii: "x"), UInt8(ascii: "X"):
        guard high == 0 else { throw HexError("there is an 'x' where a digit belongs") }
        high = nil
        continue
      default: break
      }
      isNew = false
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
    return isNew ? nil : bytes
  }
}

/// What is wrong with a line, as the end of a sentence.
public struct HexError: Error, Hashable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
