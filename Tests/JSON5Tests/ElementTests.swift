import JSON5
import Support
import Testing

private func read(_ text: String) throws(SyntaxError) -> Element.Kind { try Element(Array(text.utf8)).kind }

private func refusal(_ text: String) -> String? {
  do throws(SyntaxError) {
    _ = try read(text)
    return nil
  } catch {
    return error.description
  }
}

/// The value without places.
private func bare(_ element: Element) -> Element {
  let kind: Element.Kind =
    switch element.kind {
    case .array(let values): .array(values.map(bare))
    case .object(let members):
      .object(members.map { Element.Member(name: $0.name, position: Position(), value: bare($0.value)) })
    default: element.kind
    }
  return Element(kind, at: Position())
}

struct ElementTests {
  @Test func `The standard's own short example is read`() throws {
    let text = """
      {
        // comments
        unquoted: 'and you can quote me on that',
        singleQuotes: 'I can use "double quotes" here',
        lineBreaks: "Look, Mom! \\
      No \\\\n's!",
        hexadecimal: 0xdecaf,
        leadingDecimalPoint: .8675309, andTrailing: 8675309.,
        positiveSign: +1,
        trailingComma: 'in objects', andIn: ['arrays',],
        "backwardsCompatible": "with JSON",
      }
      """
    guard case .object(let members) = try read(text) else {
      Issue.record("no object")
      return
    }
    #expect(
      members.map(\.name) == [
        "unquoted", "singleQuotes", "lineBreaks", "hexadecimal", "leadingDecimalPoint", "andTrailing",
        "positiveSign", "trailingComma", "andIn", "backwardsCompatible",
      ]
    )
    #expect(members[2].value.kind == .string("Look, Mom! No \\n's!"))
    #expect(members[3].value.kind == .integer(0xdecaf))
    #expect(members[4].value.kind == .number(0.8675309))
    #expect(members[5].value.kind == .number(8_675_309))
    #expect(members[6].value.kind == .integer(1))
    #expect(members[3].position == Position(line: 7, column: 3))
    #expect(members[3].value.position == Position(line: 7, column: 16))
  }

  @Test(
    arguments: [
      ("null", .null), ("true", .boolean(true)), (" false ", .boolean(false)), ("-0x10", .integer(-16)),
      ("0", .integer(0)), ("-7", .integer(-7)), ("9223372036854775807", .integer(.max)),
      ("-9223372036854775808", .integer(.min)), ("9223372036854775808", .number(0x1p63)),
      ("1.5e3", .number(1500)), ("1e+2", .number(100)), ("5E-1", .number(0.5)), ("-.5", .number(-0.5)),
      ("Infinity", .number(.infinity)), ("-Infinity", .number(-.infinity)), ("+Infinity", .number(.infinity)),
      ("0x800000000000000000", .number(0x1p71)), ("''", .string("")),
      (#""\u0041\x42\t\v\0\b\f\q\'""#, .string("AB\t\u{0B}\0\u{08}\u{0C}q'")),
      (#"'\ud83d\ude00'"#, .string("😀")), ("'a\u{2028}b'", .string("a\u{2028}b")),
      ("'a\\\r\nb\\\nc\\\u{2029}d'", .string("abcd")),
      ("\u{FEFF}/**/\u{A0}\u{3000}// x\u{2028}1", .integer(1)), ("[]", .array([])), ("{}", .object([])),
      ("[[1],]", .array([Element(.array([Element(.integer(1), at: Position())]), at: Position())])),
    ] as [(String, Element.Kind)]
  ) func `Values are what the standard says`(text: String, kind: Element.Kind) throws {
    #expect(bare(Element(try read(text), at: Position())) == bare(Element(kind, at: Position())))
  }

  @Test func `NaN is a number, with any sign`() throws {
    for text in ["NaN", "-NaN", "+NaN"] {
      guard case .number(let value) = try read(text) else {
        Issue.record("\(text) is no number")
        continue
      }
      #expect(value.isNaN)
    }
  }

  @Test(arguments: ["$", "_a1", "ünï", "a\u{200D}b", "\\u0061bc", "名前", "null"])
  func `A name needs no quotes`(name: String) throws {
    guard case .object(let members) = try read("{\(name): 1}") else {
      Issue.record("no object")
      return
    }
    #expect(members[0].name == name.replacing("\\u0061", with: "a"))
  }

  @Test(arguments: [
    ("", "line 1, column 1: there is no value"), (" // x", "column 6: there is no value"),
    ("{a: 1 b: 2}", "column 7: a comma or } is missing before 'b'"),
    ("[1 2]", "column 4: a comma or ] is missing"), ("{", "column 1: this { has no }"),
    ("\n [1,", "line 2, column 2: this [ has no ]"),
    ("{a 1}", "column 4: a colon is missing behind the key 'a'"),
    ("{a: 1, a: 2}", "column 8: the key 'a' stands here for the second time"),
    ("{,}", "a key or } is missing"),
    ("[,]", "a value is missing before ','"), ("{a: }", "a value is missing before '}'"),
    ("'a\nb'", "column 1: this text has no closing ' on its line"), ("\"a", "no closing \""),
    ("'\\", "nothing stands behind this backslash"), ("'\\u12'", "four hexadecimal digits"),
    ("'\\x1'", "two hexadecimal digits"), ("'\\ud800'", "half of a letter"),
    ("'\\udc00'", "half of a letter"),
    ("'\\ud800\\u0041'", "half of a letter"), ("'\\01'", "a digit follows"), ("'\\1'", "\\1 is no letter"),
    ("010", "may not begin with a zero"), ("1x", "'x' may not follow a number"), ("2 Mbit", "only one value"),
    ("1.2.3", "'.' may not follow"), (".", "a number is missing"), ("+", "a number is missing"),
    ("-x", "behind the sign"), ("1e", "exponent of this number is missing"), ("0x", "hexadecimal digits"),
    ("/ 1", "a lone /"), ("/* x", "column 1: this comment has no */"), ("yes", "'yes' is no value"),
    ("{a\\x: 1}", "only \\u may stand"), ("{\\u0031: 1}", "may not stand in a key"),
    ("1 1", "only one value"),
    ("@", "a value is missing before '@'"), ("\r\n\r\n@", "line 3, column 1"), ("\r\r@", "line 3, column 1"),
  ]) func `What is none is refused with its place`(text: String, reason: String) {
    let sentence = refusal(text)
    #expect(sentence?.contains(reason) == true, "\(sentence ?? "accepted")")
  }

  @Test func `Depth, length and letters have bounds`() {
    let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
    #expect(refusal(deep) == nil)
    #expect(refusal("[" + deep + "]")?.contains("more than 64 deep") == true)
    let long = "'" + String(repeating: "x", count: Element.sizeLimit) + "'"
    #expect(refusal(long)?.contains("longer than") == true)
    #expect(refusal(String(repeating: "1", count: 500))?.contains("too long") == true)
    #expect(refusal("{" + String(repeating: "x", count: 100) + "}")?.contains("xxx…'") == true)
  }

  @Test func `Bytes that are no UTF-8 are refused with their place`() {
    let error = #expect(throws: SyntaxError.self) { try Element([0x5B, 0x0A, 0x27, 0xFF, 0x27, 0x5D]) }
    #expect(error?.description == "line 2, column 2: this is not UTF-8")
  }

  @Test(arguments: 1...200 as ClosedRange<UInt64>) func `No damage to a text traps`(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let letters = Array("{}[]:,'\"\\/*+-.0123456789eExXabunull \n\r".utf8) + [0xE2, 0x80, 0xA8, 0xFF]
    var bytes = Array("{a: [1, 0x2F, -.5e3, 'x\\u0041'], /* c */ \"b\": {c: null, d: NaN,},}".utf8)
    for _ in 0..<Int.random(in: 1...6, using: &random) {
      let place = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<3, using: &random) {
      case 0: bytes[place] = letters.randomElement(using: &random) ?? 0
      case 1: bytes.remove(at: place)
      default: bytes.insert(letters.randomElement(using: &random) ?? 0, at: place)
      }
    }
    do throws(SyntaxError) {
      _ = try Element(bytes)
    } catch {
      #expect(error.position.line >= 1 && error.position.column <= bytes.count + 1, "seed \(seed)")
    }
  }
}
