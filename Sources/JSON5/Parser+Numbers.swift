extension Parser {
  /// The longest number, in letters; longer ones are no numbers that anybody wrote.
  private static let longestNumber = 400

  mutating func number() throws(SyntaxError) -> Element.Kind {
    let start = position
    var sign: Int64 = 1
    if next == "+" || next == "-" {
      if next == "-" { sign = -1 }
      advance()
    }
    let kind: Element.Kind
    if next == "0", peek(1) == "x" || peek(1) == "X" {
      kind = try hexadecimal(sign, start)
    } else if let scalar = next, Self.beginsName(scalar) {
      switch try name() {
      case "Infinity": kind = .number(sign < 0 ? -.infinity : .infinity)
      case "NaN": kind = .number(.nan)
      default: throw SyntaxError("a number is missing behind the sign", at: start)
      }
    } else {
      kind = try decimal(sign, start)
    }
    if let scalar = next, Self.continuesName(scalar) || scalar == "." || scalar == "\\" {
      throw fail("'\(scalar)' may not follow a number; a number with a unit needs quotes")
    }
    return kind
  }

  private mutating func hexadecimal(_ sign: Int64, _ start: Position) throws(SyntaxError) -> Element.Kind {
    advance()
    advance()
    var value: UInt64 = 0
    var approximation = 0.0
    var count = 0
    var isExact = true
    while let digit = next.flatMap(Self.hexadecimal) {
      count += 1
      guard count <= Self.longestNumber else { throw SyntaxError("this number is too long", at: start) }
      isExact = isExact && value >> 60 == 0
      value = value << 4 | UInt64(digit)
      approximation = approximation * 16 + Double(digit)
      advance()
    }
    guard count > 0 else { throw SyntaxError("0x takes hexadecimal digits", at: start) }
    if isExact, let integer = Int64(exactly: value) { return .integer(sign * integer) }
    return .number(Double(sign) * approximation)
  }

  private mutating func decimal(_ sign: Int64, _ start: Position) throws(SyntaxError) -> Element.Kind {
    var text = sign < 0 ? "-" : ""
    var digits = 0
    var isWhole = true
    func tooLong() -> SyntaxError { SyntaxError("this number is too long", at: start) }
    if next == "0", let second = peek(1), "0"..."9" ~= second {
      throw SyntaxError("a number may not begin with a zero and another digit", at: start)
    }
    func take(_ parser: inout Parser) throws(SyntaxError) -> Int {
      var count = 0
      while let scalar = parser.next, "0"..."9" ~= scalar {
        count += 1
        guard text.utf8.count <= Self.longestNumber else { throw tooLong() }
        text.unicodeScalars.append(scalar)
        parser.advance()
      }
      return count
    }
    digits += try take(&self)
    // Swift's own reading wants a digit on both sides of the point.
    if digits == 0 { text += "0" }
    if skip(".") {
      isWhole = false
      text += "."
      let fraction = try take(&self)
      if fraction == 0 { text += "0" }
      digits += fraction
    }
    guard digits > 0 else { throw SyntaxError("a number is missing here", at: start) }
    if next == "e" || next == "E" {
      isWhole = false
      advance()
      text += "e"
      if next == "+" || next == "-" {
        text += next == "-" ? "-" : ""
        advance()
      }
      guard try take(&self) > 0 else {
        throw SyntaxError("the exponent of this number is missing", at: start)
      }
    }
    if isWhole, text != "-0", let integer = Int64(text) { return .integer(integer) }
    guard let value = Double(text) else { throw SyntaxError("this is no number", at: start) }
    return .number(value)
  }
}
