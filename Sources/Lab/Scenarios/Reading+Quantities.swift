internal import JSON5

/// Quantities as researchers write them: a number, a space if they like, and a unit.
extension Reading {
  private static let rates: [(unit: String, factor: Double)] = [
    ("bit/s", 1), ("kbit/s", 1e3), ("Mbit/s", 1e6), ("Gbit/s", 1e9),
  ]
  private static let times: [(unit: String, factor: Double)] = [
    ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("min", 60e9), ("h", 3600e9), ("d", 86_400e9),
  ]
  private static let sizes: [(unit: String, factor: Double)] = [
    ("B", 1), ("kB", 1e3), ("KiB", 1024), ("MiB", 1_048_576),
  ]

  /// Bits per second: `"2 Mbit/s"`, or `"2.2 r"`, which is so many times the stream's rate.
  func rate(_ element: Element, r: UInt64?, allowsNone: Bool = false) throws(FileError) -> UInt64 {
    let relative = r == nil ? "" : ", or in multiples of the stream's rate like \"2.2 r\""
    let none = allowsNone ? " or \"unlimited\"" : ""
    let what = "a rate like \"2 Mbit/s\" or \"800 kbit/s\"" + relative + none
    guard case .string(let text) = element.kind else { throw refuse(element, takes: what) }
    if allowsNone, text == "unlimited" { return 0 }
    let units = Self.rates + (r.map { [("r", Double($0))] } ?? [])
    guard let value = Self.quantity(text, units) else { throw refuse(element, takes: what) }
    guard 1...1e12 ~= value.rounded() else { throw refuse(element, takes: "1 bit/s to 1000 Gbit/s") }
    return UInt64(value.rounded())
  }

  /// A time: `"250 ms"`, `"5 s"`, `"2 min"`; only zero needs no unit.
  func time(_ element: Element, _ range: ClosedRange<Duration> = .zero ... .seconds(86_400)) throws(FileError)
    -> Duration
  {
    let nanoseconds: Double
    switch element.kind {
    case .integer(0): nanoseconds = 0
    case .string(let text):
      guard let value = Self.quantity(text, Self.times) else {
        throw refuse(element, takes: "a time like \"250 ms\", \"5 s\" or \"2 min\"")
      }
      nanoseconds = value
    default: throw refuse(element, takes: "a time like \"250 ms\", \"5 s\" or \"2 min\"")
    }
    guard nanoseconds <= 1e18, range.contains(.nanoseconds(Int64(nanoseconds.rounded()))) else {
      throw refuse(element, takes: "\(Self.text(range.lowerBound)) to \(Self.text(range.upperBound))")
    }
    return .nanoseconds(Int64(nanoseconds.rounded()))
  }

  /// Bytes: `1316`, or `"16 KiB"`.
  func size(_ element: Element, _ range: ClosedRange<Int>) throws(FileError) -> Int {
    var value: Double?
    switch element.kind {
    case .integer(let bytes): value = Double(bytes)
    case .string(let text): value = Self.quantity(text, Self.sizes)
    default: break
    }
    guard let value else { throw refuse(element, takes: "bytes like 1316 or \"16 KiB\"") }
    guard value == value.rounded(), Double(range.lowerBound)...Double(range.upperBound) ~= value else {
      throw refuse(element, takes: "\(range.lowerBound) to \(range.upperBound) bytes")
    }
    return Int(value)
  }

  /// A part of something: `0.2` or `"20 %"`.
  func part(_ element: Element) throws(FileError) -> Double {
    var value: Double?
    switch element.kind {
    case .integer(let number): value = Double(number)
    case .number(let number): value = number
    case .string(let text): value = Self.quantity(text, [("%", 0.01)])
    default: break
    }
    guard let value else { throw refuse(element, takes: "a part like 0.2 or \"20 %\"") }
    guard 0...1 ~= value else { throw refuse(element, takes: "a part of 0 to 1, or 0 % to 100 %") }
    return value
  }

  func count(_ element: Element, _ range: ClosedRange<Int>) throws(FileError) -> Int {
    guard case .integer(let value) = element.kind, let value = Int(exactly: value), range.contains(value)
    else {
      throw refuse(element, takes: "a whole number of \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  func number(_ element: Element, _ range: ClosedRange<Double>) throws(FileError) -> Double {
    var value: Double?
    switch element.kind {
    case .integer(let number): value = Double(number)
    case .number(let number): value = number
    default: break
    }
    guard let value, range.contains(value) else {
      throw refuse(element, takes: "a number of \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  func boolean(_ element: Element) throws(FileError) -> Bool {
    guard case .boolean(let value) = element.kind else { throw refuse(element, takes: "true or false") }
    return value
  }

  /// A text of one line.
  func text(_ element: Element, limit: Int = 200) throws(FileError) -> String {
    guard case .string(let text) = element.kind, 1...limit ~= text.utf8.count,
      text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
    else { throw refuse(element, takes: "a text of one line and at most \(limit) bytes") }
    return text
  }

  /// One of some words.
  func choice<Value: RawRepresentable & CaseIterable>(
    _ element: Element,
    _: Value.Type
  ) throws(FileError) -> Value where Value.RawValue == String {
    let words = Value.allCases.map(\.rawValue)
    let all = words.map { "\"\($0)\"" }.joined(separator: ", ")
    guard case .string(let text) = element.kind else { throw refuse(element, takes: "one of \(all)") }
    guard let value = Value(rawValue: text) else {
      let guess = Suggestion.phrase(text, among: words)
      throw guess.isEmpty
        ? refuse(element, takes: "one of \(all)") : fail("\(name) is never '\(text)'" + guess, element)
    }
    return value
  }

  func list(_ element: Element, limit: Int) throws(FileError) -> [Element] {
    guard case .array(let values) = element.kind else { throw refuse(element, takes: "a list in brackets") }
    guard 1...limit ~= values.count else {
      throw fail("\(name) takes 1 to \(limit) entries, not \(values.count)", element)
    }
    return values
  }

  /// A number with a unit, in the smallest one; nil when it is none.
  private static func quantity(_ text: String, _ units: [(unit: String, factor: Double)]) -> Double? {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = text[digits.endIndex...].drop { $0 == " " }
    guard let value = Double(digits), let factor = units.first(where: { $0.unit == unit })?.factor else {
      return nil
    }
    let product = value * factor
    return product.isFinite ? product : nil
  }

  /// A time as it can be written.
  static func text(_ time: Duration) -> String {
    let nanoseconds = time.nanoseconds
    switch nanoseconds {
    case 0: return "0"
    case let value where value % 60_000_000_000 == 0: return "\(value / 60_000_000_000) min"
    case let value where value % 1_000_000_000 == 0: return "\(value / 1_000_000_000) s"
    case let value where value % 1_000_000 == 0: return "\(value / 1_000_000) ms"
    default: return "\(nanoseconds / 1000) us"
    }
  }
}
