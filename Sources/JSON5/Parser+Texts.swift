/// Strings and unquoted keys.
extension Parser {
  mutating func string() throws(SyntaxError) -> String {
    let start = position
    guard let quote = next else { throw fail("a text is missing") }
    advance()
    var text = String.UnicodeScalarView()
    while let scalar = next {
      switch scalar {
      case quote:
        advance()
        return String(text)
      case "\\": try escape(into: &text)
      case "\n", "\r": throw SyntaxError("this text has no closing \(quote) on its line", at: start)
      default:
        text.append(scalar)
        advance()
      }
    }
    throw SyntaxError("this text has no closing \(quote)", at: start)
  }

  /// Reads what stands behind a backslash.
  private mutating func escape(into text: inout String.UnicodeScalarView) throws(SyntaxError) {
    let start = position
    advance()
    guard let scalar = next else { throw SyntaxError("nothing stands behind this backslash", at: start) }
    switch scalar {
    case "u":
      text.append(try unicodeEscape(start))
      return
    case "x":
      advance()
      guard let value = digits(2), let made = Unicode.Scalar(value) else {
        throw SyntaxError("\\x takes two hexadecimal digits", at: start)
      }
      text.append(made)
      return
    case "b": text.append("\u{08}")
    case "f": text.append("\u{0C}")
    case "n": text.append("\n")
    case "r": text.append("\r")
    case "t": text.append("\t")
    case "v": text.append("\u{0B}")
    case "0":
      if let digit = peek(1), "0"..."9" ~= digit {
        throw SyntaxError("a digit follows \\0; write the letter as \\x or \\u", at: start)
      }
      text.append("\0")
    case "1"..."9": throw SyntaxError("\\\(scalar) is no letter; write it as \\x or \\u", at: start)
    case "\r":
      // The text goes on in the next line; CR LF is one end.
      if peek(1) == "\n" { advance() }
    case let scalar where Self.endsLine(scalar): break
    default: text.append(scalar)
    }
    advance()
  }

  /// Reads `uXXXX`, twice for a pair of surrogates.
  private mutating func unicodeEscape(_ start: Position) throws(SyntaxError) -> Unicode.Scalar {
    advance()
    guard let first = digits(4) else { throw SyntaxError("\\u takes four hexadecimal digits", at: start) }
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard first < 0xDC00, next == "\\", peek(1) == "u" else {
      throw SyntaxError("\\u\(String(first, radix: 16)) is half of a letter", at: start)
    }
    advance()
    advance()
    guard let second = digits(4), 0xDC00...0xDFFF ~= second,
      let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    else { throw SyntaxError("\\u\(String(first, radix: 16)) is half of a letter", at: start) }
    return scalar
  }

  private mutating func digits(_ count: Int) -> UInt32? {
    var value: UInt32 = 0
    for _ in 0..<count {
      guard let digit = next.flatMap(Self.hexadecimal) else { return nil }
      value = value << 4 | digit
      advance()
    }
    return value
  }

  static func hexadecimal(_ scalar: Unicode.Scalar) -> UInt32? {
    switch scalar {
    case "0"..."9": scalar.value - 0x30
    case "a"..."f": scalar.value - 0x61 + 10
    case "A"..."F": scalar.value - 0x41 + 10
    default: nil
    }
  }

  // MARK: Keys without quotes

  /// Reads an IdentifierName of ECMAScript 5.1 (7.6).
  mutating func name() throws(SyntaxError) -> String {
    var text = String.UnicodeScalarView()
    while let scalar = next {
      if scalar == "\\" {
        let start = position
        advance()
        guard next == "u" else { throw SyntaxError("only \\u may stand in a key without quotes", at: start) }
        let made = try unicodeEscape(start)
        guard text.isEmpty ? Self.beginsName(made) && made != "\\" : Self.continuesName(made) else {
          throw SyntaxError("this letter may not stand in a key without quotes", at: start)
        }
        text.append(made)
      } else if text.isEmpty ? Self.beginsName(scalar) : Self.continuesName(scalar) {
        text.append(scalar)
        advance()
      } else {
        break
      }
    }
    return String(text)
  }

  /// Whether a name may begin so; a backslash begins one with an escape.
  static func beginsName(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "a"..."z", "A"..."Z", "$", "_", "\\": return true
    default:
      guard scalar.value >= 0x80 else { return false }
      switch scalar.properties.generalCategory {
      case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .letterNumber:
        return true
      default: return false
      }
    }
  }

  static func continuesName(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "0"..."9", "\u{200C}", "\u{200D}": return true
    case "\\": return false
    default:
      if beginsName(scalar) { return true }
      guard scalar.value >= 0x80 else { return false }
      switch scalar.properties.generalCategory {
      case .nonspacingMark, .spacingMark, .decimalNumber, .connectorPunctuation: return true
      default: return false
      }
    }
  }
}
