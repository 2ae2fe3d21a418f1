/// Reads one text from its beginning to its end.
struct Parser {
  private let scalars: [Unicode.Scalar]
  private var offset = 0
  private(set) var position = Position()
  private var depth = 0

  init(_ bytes: [UInt8]) throws(SyntaxError) {
    guard bytes.count <= Element.sizeLimit else {
      throw SyntaxError("the text is longer than \(Element.sizeLimit) bytes", at: Position())
    }
    var scalars: [Unicode.Scalar] = []
    scalars.reserveCapacity(bytes.count)
    var input = bytes.makeIterator()
    var decoder = UTF8()
    decoding: while true {
      switch decoder.decode(&input) {
      case .scalarValue(let scalar): scalars.append(scalar)
      case .emptyInput: break decoding
      case .error:
        var place = Parser(scalars)
        while place.next != nil { place.advance() }
        throw SyntaxError("this is not UTF-8", at: place.position)
      }
    }
    self.init(scalars)
  }

  private init(_ scalars: [Unicode.Scalar]) { self.scalars = scalars }

  // MARK: Letters

  var next: Unicode.Scalar? { offset < scalars.count ? scalars[offset] : nil }

  /// What comes `distance` behind the next one.
  func peek(_ distance: Int) -> Unicode.Scalar? {
    offset + distance < scalars.count ? scalars[offset + distance] : nil
  }

  mutating func advance() {
    guard let scalar = next else { return }
    offset += 1
    // CR LF is one end of a line.
    if scalar == "\n" || scalar == "\r" && next != "\n" {
      position.line += 1
      position.column = 1
    } else {
      position.column += 1
    }
  }

  /// Goes past a letter if it is the next one.
  mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
    guard next == scalar else { return false }
    advance()
    return true
  }

  func fail(_ reason: String) -> SyntaxError { SyntaxError(reason, at: position) }

  /// The next letter, to be named in a sentence.
  private var found: String {
    guard let next else { return "the end" }
    return next.properties.isWhitespace || next.value < 0x20 ? "a space" : "'\(next)'"
  }

  // MARK: Values

  mutating func text() throws(SyntaxError) -> Element {
    try skipSpace()
    guard next != nil else { throw fail("there is no value") }
    let value = try value()
    try skipSpace()
    guard next == nil else { throw fail("\(found) comes after the value, and only one value is possible") }
    return value
  }

  private mutating func value() throws(SyntaxError) -> Element {
    let start = position
    switch next {
    case "{": return Element(.object(try object()), at: start)
    case "[": return Element(.array(try array()), at: start)
    case "\"", "'": return Element(.string(try string()), at: start)
    case "+", "-", ".", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9":
      return Element(try number(), at: start)
    case let scalar? where Self.beginsName(scalar):
      let word = try name()
      switch word {
      case "null": return Element(.null, at: start)
      case "true": return Element(.boolean(true), at: start)
      case "false": return Element(.boolean(false), at: start)
      case "Infinity": return Element(.number(.infinity), at: start)
      case "NaN": return Element(.number(.nan), at: start)
      default: throw SyntaxError("'\(Self.short(word))' is no value: a text needs quotes", at: start)
      }
    default: throw fail("a value is missing before \(found)")
    }
  }

  private mutating func object() throws(SyntaxError) -> [Element.Member] {
    let start = position
    try descend()
    var members: [Element.Member] = []
    var names: Set<String> = []
    while true {
      try skipSpace()
      if skip("}") { break }
      let position = position
      let name: String
      switch next {
      case "\"", "'": name = try string()
      case let scalar? where Self.beginsName(scalar): name = try self.name()
      case nil: throw SyntaxError("this { has no }", at: start)
      default: throw fail("a key or } is missing before \(found)")
      }
      guard names.insert(name).inserted else {
        throw SyntaxError("the key '\(Self.short(name))' stands here for the second time", at: position)
      }
      try skipSpace()
      guard skip(":") else { throw fail("a colon is missing behind the key '\(Self.short(name))'") }
      try skipSpace()
      members.append(Element.Member(name: name, position: position, value: try value()))
      try skipSpace()
      if skip(",") { continue }
      guard next != nil else { throw SyntaxError("this { has no }", at: start) }
      guard skip("}") else { throw fail("a comma or } is missing before \(found)") }
      break
    }
    depth -= 1
    return members
  }

  private mutating func array() throws(SyntaxError) -> [Element] {
    let start = position
    try descend()
    var values: [Element] = []
    while true {
      try skipSpace()
      if skip("]") { break }
      guard next != nil else { throw SyntaxError("this [ has no ]", at: start) }
      values.append(try value())
      try skipSpace()
      if skip(",") { continue }
      guard next != nil else { throw SyntaxError("this [ has no ]", at: start) }
      guard skip("]") else { throw fail("a comma or ] is missing before \(found)") }
      break
    }
    depth -= 1
    return values
  }

  /// Goes past the bracket that opens an array or an object.
  private mutating func descend() throws(SyntaxError) {
    guard depth < Element.depthLimit else {
      throw fail("brackets are nested more than \(Element.depthLimit) deep")
    }
    depth += 1
    advance()
  }

  // MARK: Between values

  private mutating func skipSpace() throws(SyntaxError) {
    while let scalar = next {
      if Self.isSpace(scalar) {
        advance()
      } else if scalar == "/" {
        try skipComment()
      } else {
        return
      }
    }
  }

  private mutating func skipComment() throws(SyntaxError) {
    let start = position
    switch peek(1) {
    case "/":
      while let scalar = next, !Self.endsLine(scalar) { advance() }
    case "*":
      advance()
      advance()
      while next != nil {
        if next == "*", peek(1) == "/" {
          advance()
          advance()
          return
        }
        advance()
      }
      throw SyntaxError("this comment has no */", at: start)
    default: throw fail("a lone / is no comment: write // or /* */")
    }
  }

  private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09...0x0D, 0x20, 0xA0, 0xFEFF, 0x2028, 0x2029: true
    case 0x80...: scalar.properties.generalCategory == .spaceSeparator
    default: false
    }
  }

  static func endsLine(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "\n" || scalar == "\r" || scalar.value == 0x2028 || scalar.value == 0x2029
  }

  /// A name that may be anything, made fit for a sentence.
  private static func short(_ text: String) -> String {
    var shown = String.UnicodeScalarView()
    for scalar in text.unicodeScalars.prefix(40) {
      shown.append(scalar.value < 0x20 || scalar.value == 0x7F || endsLine(scalar) ? "?" : scalar)
    }
    return String(shown) + (text.unicodeScalars.count > 40 ? "…" : "")
  }
}
